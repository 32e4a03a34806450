// SPDX-License-Identifier: Apache-2.0
//
// Rows have the bits that single elements have.

#include "framework/format/row_codec.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "framework/format/element.hpp"
#include "framework/tensor/half.hpp"

namespace tessera::format {
namespace {

// Around each width of a vector register.
constexpr size_t kSizes[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 129};

TEST(RowCodec, WidensEvery16BitPatternAsOneElementIs) {
  std::vector<uint16_t> patterns(1U << 16);
  for (size_t i = 0; i < patterns.size(); ++i) {
    patterns[i] = static_cast<uint16_t>(i);
  }
  const auto* bytes = reinterpret_cast<const std::byte*>(patterns.data());
  for (const uint32_t dtype : {TSR_F16, TSR_BF16}) {
    std::vector<float> values(patterns.size());
    read_floats(dtype, bytes, 0, values);
    for (size_t i = 0; i < values.size(); ++i) {
      const float expected =
          dtype == TSR_F16 ? f16_to_f32(patterns[i]) : bf16_to_f32(patterns[i]);
      EXPECT_EQ(std::bit_cast<uint32_t>(values[i]),
                std::bit_cast<uint32_t>(expected))
          << "dtype " << dtype << " pattern " << i;
    }
  }
}

TEST(RowCodec, ReadsFromAnyElementOn) {
  const std::vector<float> values = {1.0f, 2.0f, 3.0f, 4.0f};
  std::vector<float> read(2);
  read_floats(TSR_F32, reinterpret_cast<const std::byte*>(values.data()), 1,
              read);
  EXPECT_EQ(read, (std::vector<float>{2.0f, 3.0f}));
}

TEST(RowCodec, FindsWhatIsNotFiniteAtAnyPlace) {
  for (const size_t size : kSizes) {
    std::vector<float> values(size, -std::numeric_limits<float>::max());
    EXPECT_TRUE(all_finite(values));
    for (size_t i = 0; i < size; ++i) {
      for (const float bad : {INFINITY, -INFINITY, std::nanf("")}) {
        const float kept = std::exchange(values[i], bad);
        EXPECT_FALSE(all_finite(values)) << size << " at " << i;
        values[i] = kept;
      }
    }
  }
}

// Values of every size, and those halfway between two codes.
std::vector<float> awkward_values(float scale) {
  std::vector<float> values;
  std::mt19937 rng(42);
  std::normal_distribution<float> normal(0.0f, 40.0f);
  for (int step = -300; step <= 300; ++step) {
    values.push_back(scale * (static_cast<float>(step) + 0.5f));
    values.push_back(scale * normal(rng));
  }
  const std::vector<float> ends = {0.0f,
                                   -0.0f,
                                   1e-42f,
                                   -1e-42f,
                                   std::numeric_limits<float>::max(),
                                   std::numeric_limits<float>::lowest()};
  values.insert(values.end(), ends.begin(), ends.end());
  return values;
}

TEST(RowCodec, CodesAndValuesAreThoseOfOneElement) {
  for (const uint32_t format :
       {TSR_WEIGHT_I8, TSR_WEIGHT_U8, TSR_WEIGHT_I4, TSR_WEIGHT_U4}) {
    const IntegerGrid grid = integer_grid({format});
    for (const float scale : {0.0f, 0.013f, -0.25f, 1.0f, 1e-30f, 1e30f}) {
      for (const int32_t shift : {0, 3, -5}) {
        const GroupScale group{scale, grid.zero_point + shift};
        const auto all = awkward_values(scale == 0.0f ? 1.0f : scale);
        for (const size_t size : {size_t{1}, size_t{13}, all.size()}) {
          const auto values = std::span(all).last(size);
          std::vector<int32_t> codes(size);
          std::vector<float> decoded(size);
          integer_codes(grid, group, values, codes);
          integer_values(group, codes, decoded);
          for (size_t i = 0; i < size; ++i) {
            ASSERT_EQ(codes[i], integer_code(grid, group, values[i]))
                << format << " scale " << scale << " value " << values[i];
            ASSERT_EQ(decoded[i],
                      scale * static_cast<float>(codes[i] - group.zero_point));
          }
        }
      }
    }
  }
}

TEST(RowCodec, StoresAndLoadsWhatSetElementValueDoes) {
  struct Range {
    uint32_t dtype;
    int32_t lo;
    int32_t hi;
  };
  std::mt19937 rng(42);
  for (const Range& range : {Range{TSR_I8, -128, 127}, Range{TSR_U8, 0, 255},
                             Range{TSR_I4, -8, 7}, Range{TSR_U4, 0, 15}}) {
    std::uniform_int_distribution<int32_t> draw(range.lo, range.hi);
    for (const size_t size : kSizes) {
      for (const size_t first : {0, 1, 2, 5}) {
        std::vector<int32_t> codes(size);
        for (int32_t& code : codes) code = draw(rng);
        std::vector<std::byte> expected(size + 8, std::byte{0xa5});
        std::vector<std::byte> stored = expected;
        for (size_t i = 0; i < size; ++i) {
          set_element_value(range.dtype, expected.data(), first + i,
                            static_cast<float>(codes[i]));
        }
        store_codes(range.dtype, codes, first, stored.data());
        EXPECT_EQ(stored, expected) << range.dtype << " " << size;
        std::vector<int32_t> loaded(size);
        load_codes(range.dtype, stored.data(), first, loaded);
        EXPECT_EQ(loaded, codes);
      }
    }
  }
}

}  // namespace
}  // namespace tessera::format
