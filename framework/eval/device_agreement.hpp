// SPDX-License-Identifier: Apache-2.0
//
// Two devices on the same texts: how far apart are they?

#pragma once

#include <cstdint>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/eval/evaluate.hpp"

namespace tessera {

// Holds `second` against `first`; both run one model in one scheme, that of the
// oracles.  kl_between is KL(first || second); positions are decided by the
// oracle's margin, as in measure_agreement().  At most 512 MiB of logits are
// kept at a time, or those of one document.
Result<Agreement> measure_device_agreement(
    Session& first, Session& second, const std::vector<Document>& documents,
    uint32_t phase, const Oracle& ascending, const Oracle& descending);

}  // namespace tessera
