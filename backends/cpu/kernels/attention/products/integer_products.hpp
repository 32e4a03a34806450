// SPDX-License-Identifier: Apache-2.0
//
// The integer products of fa3 in plain C++, which compilers vectorize for
// whatever they may; Tag keeps the copies of different files apart.

#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/kernels/attention/attention_work.hpp"

namespace tessera::cpu {

constexpr int kNumThresholds = 127;
constexpr int kPreparedThresholds = 128;

struct IntegerShape {
  int num_rows;
  int num_keys;
  int64_t head_dim;
  int64_t row_stride;  // of q and sums
};

template <typename Tag>
struct PlainProducts {
  // Makes of a row of query codes what scores() reads; a multiple of 64 bytes.
  static void offset_query(int8_t* /*row*/, int64_t /*bytes*/) {}

  // Sixteen sums as f32.
  static void to_float(const int32_t* sums, float* out) {
    for (int i = 0; i < 16; ++i) out[i] = static_cast<float>(sums[i]);
  }

  // scores[row][key] = q[row] . k[key].
  static void scores(const IntegerShape& shape, const int8_t* q,
                     const std::byte* const* k, int8_t* /*packed*/,
                     int32_t* out) {
    for (int r = 0; r < shape.num_rows; ++r) {
      const int8_t* left = q + r * shape.row_stride;
      for (int i = 0; i < shape.num_keys; ++i) {
        const auto* right = reinterpret_cast<const int8_t*>(k[i]);
        int32_t sum = 0;
        for (int64_t d = 0; d < shape.head_dim; ++d) sum += left[d] * right[d];
        out[r * kKeyTile + i] = sum;
      }
      for (int i = shape.num_keys; i < kKeyTile; ++i) out[r * kKeyTile + i] = 0;
    }
  }

  // The largest of scores[begin] .. scores[end - 1], or INT32_MIN.
  static int32_t max_of(const int32_t* scores, int begin, int end) {
    int32_t largest = INT32_MIN;
    for (int i = begin; i < end; ++i) {
      largest = scores[i] > largest ? scores[i] : largest;
    }
    return largest;
  }

  // Thresholds as encode wants them, kPreparedThresholds of them; `exponent` is
  // about what they were made with.
  static void prepare_thresholds(const int32_t* thresholds, float /*exponent*/,
                                 int32_t* out) {
    for (int i = 0; i < kNumThresholds; ++i) out[i] = thresholds[i];
  }

  // codes[i]: how many k in 1..127 have max - score <= thresholds[k - 1], which
  // falls with k.
  static void encode(const int32_t* thresholds, int32_t max,
                     const int32_t* scores, uint8_t* codes) {
    for (int i = 0; i < kKeyTile; ++i) {
      const int32_t distance = max - scores[i];
      int code = 0;
      for (int step = 64; step > 0; step /= 2) {
        code += distance <= thresholds[code + step - 1] ? step : 0;
      }
      codes[i] = static_cast<uint8_t>(code);
    }
  }

  static int32_t sum_of(const uint8_t* codes) {
    int32_t sum = 0;
    for (int i = 0; i < kKeyTile; ++i) sum += codes[i];
    return sum;
  }

  // sums[row] += sum over keys of codes[row][key] * v[key].
  static void add_values(const IntegerShape& shape, const uint8_t* codes,
                         const std::byte* const* v, int8_t* /*packed*/,
                         int32_t* sums) {
    for (int r = 0; r < shape.num_rows; ++r) {
      int32_t* sum = sums + r * shape.row_stride;
      for (int i = 0; i < shape.num_keys; ++i) {
        const int32_t code = codes[r * kKeyTile + i];
        const auto* right = reinterpret_cast<const int8_t*>(v[i]);
        for (int64_t d = 0; d < shape.head_dim; ++d) sum[d] += code * right[d];
      }
    }
  }
};

}  // namespace tessera::cpu
