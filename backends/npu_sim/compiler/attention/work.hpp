// SPDX-License-Identifier: Apache-2.0
//
// Who streams which keys.

#pragma once

#include "backends/npu_sim/compiler/attention/plan.hpp"

namespace tessera::npu {

// Fills `num_splits` and `work`: enough splits of the keys for all cores, and
// the longest work first.
//
// Requires  cores and tiles are chosen.
void share_work(AttentionPlan& plan);

}  // namespace tessera::npu
