// SPDX-License-Identifier: Apache-2.0
//
// A weight as floats again, for readers that ask for values.

#pragma once

#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/weight.hpp"

namespace tessera::format {

// The values of a weight with one code per element or SPARSE_FIXED, [N, K],
// each column at its input feature; computed in double, rounded once.
//
// Requires  the planes are as check_weight() wants them
// Errors    UNIMPLEMENTED for GGUF and SPARSE_ENTROPY
Result<std::vector<float>> decode_weight(const WeightData& weight);

}  // namespace tessera::format
