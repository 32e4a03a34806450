// SPDX-License-Identifier: Apache-2.0
//
// One linear to run and to compare: a random weight and what its op looks like.

#pragma once

#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "framework/conformance/reference/linear/linear.hpp"
#include "framework/format/encode.hpp"
#include "framework/format/weight.hpp"
#include "tests/unit/backends/device/op_runner.hpp"

namespace tessera::device_test {

struct WeightKind {
  std::string name;
  format::WeightScheme scheme;
  uint32_t depth_multiple = 1;

  // K, or the next depth that the format can have.
  uint32_t depth(uint32_t K) const {
    return (K + depth_multiple - 1) / depth_multiple * depth_multiple;
  }
};

// Every format, with its granularities.
std::vector<WeightKind> weight_kinds();
WeightKind weight_kind(const std::string& name);
bool has_integer_codes(const WeightKind& kind);

// Random values encoded; random blocks of a format whose codes and scales must
// all be met.
format::WeightData random_weight(const WeightKind& kind, uint32_t N, uint32_t K,
                                 std::mt19937& rng);

// A weight of those codes [N, K] with the scales of `dense`, as SPARSE_FIXED.
format::WeightData compressed(std::span<const int8_t> codes,
                              const format::WeightData& dense);

// Static activations with codes of about +-4 over the range.
void add_static_activation(format::WeightData& planes, int32_t zero_point);
// A permutation, an input multiplier and, for integers, a bias.
void add_small_planes(format::WeightData& planes, bool is_integer,
                      std::mt19937& rng);

struct LinearCase {
  uint32_t M = 1;  // NOLINT(*-naming): as in the formula
  uint32_t act_quant = TSR_ACT_FLOAT;
  uint32_t x_dtype = TSR_F32;
  uint32_t y_dtype = TSR_F32;
  uint32_t n_begin = 0;
  uint32_t n_end = 0;  // 0: N
  uint32_t activation = TSR_EPILOGUE_NONE;
  bool bias = false;
  bool multiplier = false;
  bool residual = false;
  bool accumulate = false;
  uint32_t num_decode_tokens = 0;
};

// Runs the case on the device and holds every y against the oracle: exactly for
// integers, within the bound of TSR_ERROR_DOT else.
void expect_linear(const std::shared_ptr<Device>& device,
                   const format::WeightData& planes, const LinearCase& c);

// A weight of that kind at every shape of the device under test, with float
// and, where its codes are integers, dynamic int8 activations.
void expect_all_shapes(const std::shared_ptr<Device>& device,
                       const WeightKind& kind);

}  // namespace tessera::device_test
