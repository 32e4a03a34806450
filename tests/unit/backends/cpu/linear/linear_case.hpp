// SPDX-License-Identifier: Apache-2.0
//
// One linear to run and to compare: a random weight, random rows of x in their
// type, and strided tensors.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "backends/cpu/kernels/linear/linear.hpp"
#include "framework/conformance/reference/linear/linear.hpp"
#include "framework/format/encode.hpp"
#include "framework/format/weight.hpp"
#include "tessera/error.hpp"

namespace tessera::cpu {

// Memory at an address that is a multiple of 64.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t bytes) : storage_(bytes + 64) {}
  std::byte* data() {
    const auto address = reinterpret_cast<uintptr_t>(storage_.data());
    return storage_.data() + (64 - address % 64) % 64;
  }

 private:
  std::vector<std::byte> storage_;
};

// A weight in the host's planes, in ours, and as the oracle reads it.
class TestWeight {
 public:
  explicit TestWeight(format::WeightData planes);

  const LinearWeight& linear() const { return linear_; }
  const reference::Weight& oracle() const { return *oracle_; }
  const format::WeightData& planes() const { return planes_; }
  int64_t num_rows() const { return planes_.N; }
  int64_t depth() const { return planes_.K; }

 private:
  format::WeightData planes_;
  std::unique_ptr<AlignedBytes> packed_;
  LinearWeight linear_;
  std::unique_ptr<reference::Weight> oracle_;
};

struct WeightKindCase {
  std::string name;
  format::WeightScheme scheme;
  int64_t depth_multiple = 1;

  // K, or the next depth that the format can have.
  int64_t depth(int64_t K) const {
    return (K + depth_multiple - 1) / depth_multiple * depth_multiple;
  }
};
// Every format, with its granularities.
std::vector<WeightKindCase> weight_kinds();

// Random values encoded; random blocks of a format without an encoder.
TestWeight random_weight(const WeightKindCase& kind, int64_t N, int64_t K,
                         std::mt19937& rng);

// GGUF blocks of random bytes whose scales are finite, so every code is met.
format::WeightData random_blocks(uint32_t format, int64_t N, int64_t K,
                                 std::mt19937& rng);

// Adds static activations: codes of about +-4 over the range.
void add_static_activation(format::WeightData& planes, int32_t zero_point);

// A [rows, cols] tensor of a float type whose rows are further apart than that,
// and what it holds as f32.
class TestTensor {
 public:
  TestTensor(uint32_t dtype, int64_t rows, int64_t cols);
  TestTensor(uint32_t dtype, int64_t rows, int64_t cols, std::mt19937& rng);

  ConstRows input() const { return {bytes_.data(), dtype_, stride_}; }
  Rows output() { return {bytes_.data(), dtype_, stride_}; }
  std::vector<float> values() const;  // dense
  float at(int64_t row, int64_t col) const;
  void set(int64_t row, int64_t col, float value);
  // True if what lies between the rows is as it was.
  bool gaps_untouched() const;

 private:
  int64_t element_bytes() const { return dtype_ == TSR_F32 ? 4 : 2; }
  uint32_t dtype_;
  int64_t rows_;
  int64_t cols_;
  int64_t stride_;
  std::vector<std::byte> bytes_;
};

// `value` after rounding to `dtype`.
float rounded_to(uint32_t dtype, float value);

struct Shape {
  int64_t M;
  int64_t N;
  int64_t K;
};
// Shapes that hit every loop edge: each M, N and K of the lists, and most pairs
// of them.
std::vector<Shape> edge_shapes(int64_t depth_multiple);

// The ISAs whose kernels run on this machine, worst first: its own, and kAmx on
// emulated tiles.
std::vector<Isa> runnable_isas();

// Of these the machine's own and the last, which may be the same.
std::set<Isa> best_isas();

// Runs with a workspace of just the right size.
void run_linear(const LinearWeight& weight, const Linear& op, Isa isa,
                const Parallel& parallel = {});

// n u / (1 - n u), u = 2^-24.
// Source: Higham, Accuracy and Stability, 2nd ed., section 3.1.
double gamma(int64_t n);

}  // namespace tessera::cpu
