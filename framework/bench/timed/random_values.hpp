// SPDX-License-Identifier: Apache-2.0
//
// Data for timed ops: random, because zeros and repeats are easy on caches and
// adders.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/scheme.hpp"
#include "framework/format/weight.hpp"

namespace tessera::bench {

// Values of about a normal law with that deviation, from the seed alone.
std::vector<float> random_values(size_t count, uint32_t seed,
                                 float deviation = 1.0f);

// As F32, F16 or BF16; `values` become what was stored.
std::vector<std::byte> round_to_bytes(std::span<float> values, uint32_t dtype);
// And back.
std::vector<float> values_of(std::span<const std::byte> bytes, uint32_t dtype);

// A weight W[N, K] as `scheme` holds it, with the scale of static activations
// if it has such.  Only the first few hundred rows are random, the others
// repeat them, so that a large one is made quickly.
//
// Errors  those of the encoder
Result<format::WeightData> random_weight(const Scheme& scheme, uint32_t N,
                                         uint32_t K);

}  // namespace tessera::bench
