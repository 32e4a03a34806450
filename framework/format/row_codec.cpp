// SPDX-License-Identifier: Apache-2.0
//
// Loops without branches or calls, which compilers turn into vector code.

#include "framework/format/row_codec.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "framework/format/element.hpp"
#include "framework/tensor/half.hpp"
#include "tessera/types.h"

// The same loops once more for wider registers; which ones run is asked of the
// CPU.  What is called inside is inlined, so nothing else is compiled so.
#if defined(__x86_64__) && defined(__GNUC__)
#define TSR_WIDE __attribute__((target("avx2")))
#define TSR_INLINE inline __attribute__((always_inline))
#else
#define TSR_INLINE inline
#endif

namespace tessera::format {
namespace {

// Adding it leaves no bits below one, so the sum is rounded to nearest even.
constexpr float kRounder = 0x1.8p23f;

TSR_INLINE float limit(float x, float lo, float hi) {
  const float raised = x < lo ? lo : x;
  return raised > hi ? hi : raised;
}

TSR_INLINE void codes_loop(const IntegerGrid& grid, GroupScale group,
                           const float* values, size_t count, int32_t* out) {
  const float scale = group.scale;
  const int32_t zero_point = group.zero_point;
  const int32_t lo = grid.lo;
  const int32_t hi = grid.hi;
  for (size_t i = 0; i < count; ++i) {
    // Clamped first, as the rounder needs; integers are clamped alike.
    const float steps = limit(values[i] / scale, -512.0f, 512.0f);
    const float rounded = (steps + kRounder) - kRounder;
    const int32_t code = static_cast<int32_t>(rounded) + zero_point;
    const int32_t raised = code < lo ? lo : code;
    out[i] = raised > hi ? hi : raised;
  }
}

TSR_INLINE void values_loop(GroupScale group, const int32_t* codes,
                            size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) {
    out[i] = group.scale * static_cast<float>(codes[i] - group.zero_point);
  }
}

TSR_INLINE void bf16_loop(const std::byte* bytes, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) {
    out[i] = bf16_to_f32(load_element<uint16_t>(bytes, i));
  }
}

TSR_INLINE void f16_loop(const std::byte* bytes, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) {
    const uint32_t bits = load_element<uint16_t>(bytes, i);
    const uint32_t sign = (bits & 0x8000U) << 16;
    // As if the exponents were biased alike; then the difference of the biases
    // as a factor, which makes subnormals right as well.
    const float shifted = std::bit_cast<float>((bits & 0x7fffU) << 13);
    const uint32_t finite = std::bit_cast<uint32_t>(shifted * 0x1p112f);
    const uint32_t is_wide = (bits & 0x7c00U) == 0x7c00U ? 0x7f800000U : 0U;
    out[i] = std::bit_cast<float>(sign | finite | is_wide);
  }
}

TSR_INLINE uint32_t largest_magnitude_loop(const float* values, size_t count) {
  uint32_t largest = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(values[i]) & 0x7fffffffU;
    largest = bits > largest ? bits : largest;
  }
  return largest;
}

#if defined(TSR_WIDE)

TSR_WIDE void wide_codes(const IntegerGrid& grid, GroupScale group,
                         const float* values, size_t count, int32_t* out) {
  codes_loop(grid, group, values, count, out);
}
TSR_WIDE void wide_values(GroupScale group, const int32_t* codes, size_t count,
                          float* out) {
  values_loop(group, codes, count, out);
}
TSR_WIDE void wide_bf16(const std::byte* bytes, size_t count, float* out) {
  bf16_loop(bytes, count, out);
}
TSR_WIDE void wide_f16(const std::byte* bytes, size_t count, float* out) {
  f16_loop(bytes, count, out);
}
TSR_WIDE uint32_t wide_largest_magnitude(const float* values, size_t count) {
  return largest_magnitude_loop(values, count);
}

bool is_wide_machine() {
  static const bool is_wide = __builtin_cpu_supports("avx2") != 0;
  return is_wide;
}

#endif

template <typename T>
void store_bytes(std::span<const int32_t> codes, std::byte* out) {
  for (size_t i = 0; i < codes.size(); ++i) {
    out[i] = static_cast<std::byte>(static_cast<T>(codes[i]));
  }
}

void store_nibbles(std::span<const int32_t> codes, size_t first,
                   std::byte* row) {
  size_t i = 0;
  const auto code = [&codes](size_t at) {
    return static_cast<uint32_t>(codes[at]) & 15U;
  };
  if (first % 2 != 0 && !codes.empty()) set_nibble(row, first, code(i++));
  std::byte* out = row + (first + i) / 2;
  for (; i + 1 < codes.size(); i += 2) {
    *out++ = static_cast<std::byte>(code(i) | code(i + 1) << 4);
  }
  if (i < codes.size()) set_nibble(row, first + i, code(i));
}

}  // namespace

void read_floats(uint32_t dtype, const std::byte* row, size_t first,
                 std::span<float> out) {
  if (dtype == TSR_F32) {
    std::memcpy(out.data(), row + first * sizeof(float), out.size_bytes());
    return;
  }
  assert(dtype == TSR_F16 || dtype == TSR_BF16);
  const std::byte* bytes = row + first * sizeof(uint16_t);
#if defined(TSR_WIDE)
  if (is_wide_machine()) {
    return dtype == TSR_F16 ? wide_f16(bytes, out.size(), out.data())
                            : wide_bf16(bytes, out.size(), out.data());
  }
#endif
  return dtype == TSR_F16 ? f16_loop(bytes, out.size(), out.data())
                          : bf16_loop(bytes, out.size(), out.data());
}

bool all_finite(std::span<const float> values) {
  constexpr uint32_t kInfinity = 0x7f800000U;
#if defined(TSR_WIDE)
  if (is_wide_machine()) {
    return wide_largest_magnitude(values.data(), values.size()) < kInfinity;
  }
#endif
  return largest_magnitude_loop(values.data(), values.size()) < kInfinity;
}

void integer_codes(const IntegerGrid& grid, GroupScale group,
                   std::span<const float> values,
                   std::span<int32_t> out_codes) {
  if (group.scale == 0.0f) {
    std::fill_n(out_codes.begin(), values.size(), group.zero_point);
    return;
  }
#if defined(TSR_WIDE)
  if (is_wide_machine()) {
    return wide_codes(grid, group, values.data(), values.size(),
                      out_codes.data());
  }
#endif
  codes_loop(grid, group, values.data(), values.size(), out_codes.data());
}

void integer_values(GroupScale group, std::span<const int32_t> codes,
                    std::span<float> out_values) {
#if defined(TSR_WIDE)
  if (is_wide_machine()) {
    return wide_values(group, codes.data(), codes.size(), out_values.data());
  }
#endif
  values_loop(group, codes.data(), codes.size(), out_values.data());
}

void store_codes(uint32_t dtype, std::span<const int32_t> codes, size_t first,
                 std::byte* row) {
  switch (dtype) {
    case TSR_I8:
    case TSR_U8:
      return store_bytes<uint8_t>(codes, row + first);
    default:
      assert(dtype == TSR_I4 || dtype == TSR_U4);
      return store_nibbles(codes, first, row);
  }
}

void load_codes(uint32_t dtype, const std::byte* row, size_t first,
                std::span<int32_t> out_codes) {
  const size_t count = out_codes.size();
  switch (dtype) {
    case TSR_I8:
      for (size_t i = 0; i < count; ++i) {
        const uint32_t byte = load_element<uint8_t>(row, first + i);
        out_codes[i] = static_cast<int32_t>(byte ^ 128U) - 128;
      }
      return;
    case TSR_U8:
      for (size_t i = 0; i < count; ++i) {
        out_codes[i] = load_element<uint8_t>(row, first + i);
      }
      return;
    case TSR_I4:
      for (size_t i = 0; i < count; ++i) {
        out_codes[i] = static_cast<int32_t>(nibble(row, first + i) ^ 8U) - 8;
      }
      return;
    default:
      assert(dtype == TSR_U4);
      for (size_t i = 0; i < count; ++i) {
        out_codes[i] = static_cast<int32_t>(nibble(row, first + i));
      }
  }
}

}  // namespace tessera::format
