// SPDX-License-Identifier: Apache-2.0
//
// Sums over pairs of values, with the vector types of GCC and clang.

#include "framework/quant/weights/weight_error.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>

namespace tessera::quant {
namespace {

// The same loop once more for wider registers; without FMA, so that both give
// the same sums.
#if defined(__x86_64__) && defined(__GNUC__)
#define TSR_WIDE __attribute__((target("avx2")))
#define TSR_INLINE inline __attribute__((always_inline))
#else
#define TSR_INLINE inline
#endif

// Doubles of one register; narrower machines take two, for the same sums.
constexpr size_t kLanes = 4;
using Floats = float __attribute__((vector_size(kLanes * sizeof(float))));
using Doubles = double __attribute__((vector_size(kLanes * sizeof(double))));

struct Sums {
  Doubles absolute{};
  Doubles squared{};
  Doubles largest{};
  Doubles original{};
  Doubles decoded{};
  Doubles product{};
};

// The first `count` of the lanes; the others are zeros, which add nothing.
TSR_INLINE void add_lanes(const float* original, const float* decoded,
                          size_t count, Sums* sums) {
  Floats narrow_x{};
  Floats narrow_y{};
  std::memcpy(&narrow_x, original, count * sizeof(float));
  std::memcpy(&narrow_y, decoded, count * sizeof(float));
  const Doubles x = __builtin_convertvector(narrow_x, Doubles);
  const Doubles y = __builtin_convertvector(narrow_y, Doubles);
  const Doubles difference = x - y;
  const Doubles error = difference < 0.0 ? -difference : difference;
  sums->absolute += error;
  sums->squared += error * error;
  sums->largest = error > sums->largest ? error : sums->largest;
  sums->original += x * x;
  sums->decoded += y * y;
  sums->product += x * y;
}

// Two sums of each kind, as an addition takes longer than one of the others.
TSR_INLINE void sums_loop(const float* original, const float* decoded,
                          size_t count, Sums* out) {
  Sums even;
  Sums odd;
  size_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    add_lanes(original + i, decoded + i, kLanes, &even);
    add_lanes(original + i + kLanes, decoded + i + kLanes, kLanes, &odd);
  }
  for (; i < count; i += kLanes) {
    add_lanes(original + i, decoded + i, std::min(kLanes, count - i), &even);
  }
  out->absolute = even.absolute + odd.absolute;
  out->squared = even.squared + odd.squared;
  out->largest = even.largest > odd.largest ? even.largest : odd.largest;
  out->original = even.original + odd.original;
  out->decoded = even.decoded + odd.decoded;
  out->product = even.product + odd.product;
}

#if defined(TSR_WIDE)
TSR_WIDE void wide_sums(const float* original, const float* decoded,
                        size_t count, Sums* out) {
  sums_loop(original, decoded, count, out);
}
#endif

void find_sums(const float* original, const float* decoded, size_t count,
               Sums* out) {
#if defined(TSR_WIDE)
  static const bool is_wide = __builtin_cpu_supports("avx2") != 0;
  if (is_wide) return wide_sums(original, decoded, count, out);
#endif
  sums_loop(original, decoded, count, out);
}

}  // namespace

void WeightError::add(std::span<const float> original,
                      std::span<const float> decoded) {
  assert(original.size() == decoded.size());
  Sums sums;
  find_sums(original.data(), decoded.data(), original.size(), &sums);
  for (size_t lane = 0; lane < kLanes; ++lane) {
    absolute_ += sums.absolute[lane];
    squared_ += sums.squared[lane];
    max_ = std::max(max_, sums.largest[lane]);
    original_squared_ += sums.original[lane];
    decoded_squared_ += sums.decoded[lane];
    product_ += sums.product[lane];
  }
  count_ += original.size();
}

void WeightError::merge(const WeightError& other) {
  count_ += other.count_;
  absolute_ += other.absolute_;
  squared_ += other.squared_;
  max_ = std::max(max_, other.max_);
  original_squared_ += other.original_squared_;
  decoded_squared_ += other.decoded_squared_;
  product_ += other.product_;
}

double WeightError::mean_absolute() const {
  return count_ == 0 ? 0.0 : absolute_ / static_cast<double>(count_);
}

double WeightError::mean_squared() const {
  return count_ == 0 ? 0.0 : squared_ / static_cast<double>(count_);
}

double WeightError::sqnr_db() const {
  if (squared_ == 0.0) return std::numeric_limits<double>::infinity();
  return 10.0 * std::log10(original_squared_ / squared_);
}

double WeightError::cosine() const {
  const double norms =
      std::sqrt(original_squared_) * std::sqrt(decoded_squared_);
  if (norms > 0.0) return std::clamp(product_ / norms, -1.0, 1.0);
  return original_squared_ == decoded_squared_ ? 1.0 : 0.0;
}

}  // namespace tessera::quant
