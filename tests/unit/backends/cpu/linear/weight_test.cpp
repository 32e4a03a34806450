// SPDX-License-Identifier: Apache-2.0
//
// Layouts, packing, and what open_weight refuses.

#include <gtest/gtest.h>

#include <cstring>

#include "backends/cpu/kernels/linear/decode.hpp"
#include "tests/unit/backends/cpu/linear/linear_case.hpp"

namespace tessera::cpu {
namespace {

TEST(WeightLayout, WideFloatsAndRareBlocksAreUsedInPlace) {
  std::mt19937 rng(42);
  for (const WeightKindCase& kind : weight_kinds()) {
    const TestWeight weight = random_weight(kind, 20, kind.depth(96), rng);
    const WeightShape& shape = weight.linear().shape;
    const bool is_i8 =
        kind.name.starts_with("i8") || kind.name.starts_with("u8");
    const bool is_u4 =
        kind.name.starts_with("i4") || kind.name.starts_with("u4");
    // Groups of 7 cut through four columns, groups of 12 through eight.
    const bool cut = kind.name == "i8_g7" || kind.name == "u4_g12";
    const bool in_place = cut || kind.name == "f32" || kind.name == "f16" ||
                          kind.name == "q2_k" || kind.name == "q3_k";
    const Layout expected = in_place ? Layout::kRaw
                            : is_i8  ? Layout::kI8Tiles
                            : is_u4  ? Layout::kU4Tiles
                                     : Layout::kFormatTiles;
    EXPECT_EQ(shape.layout, expected) << kind.name;
    EXPECT_EQ(shape.packed_bytes == 0, expected == Layout::kRaw) << kind.name;
  }
}

// Two packs of the same planes must be equal for a pack cache to share them.
TEST(WeightPacking, LeavesNoByteUnwritten) {
  std::mt19937 rng(42);
  for (const WeightKindCase& kind : weight_kinds()) {
    const TestWeight weight = random_weight(kind, 37, kind.depth(75), rng);
    const WeightShape& shape = weight.linear().shape;
    if (shape.layout == Layout::kRaw) continue;
    const format::WeightView view = weight.planes().view();
    std::vector<std::byte> packs[2];
    for (int i = 0; i < 2; ++i) {
      packs[i].assign(shape.packed_bytes, i == 0 ? std::byte{0} : std::byte{1});
      pack_rows(shape, view.desc(), 0, shape.N, packs[i].data());
    }
    EXPECT_EQ(packs[0], packs[1]) << kind.name;
  }
}

TEST(WeightDecode, IntegersAreTheOracles) {
  std::mt19937 rng(42);
  for (const WeightKindCase& kind : weight_kinds()) {
    const TestWeight weight = random_weight(kind, 19, kind.depth(45), rng);
    if (!has_integers(weight.linear())) continue;
    const int64_t K = weight.depth();
    std::vector<int16_t> ours(static_cast<size_t>(K));
    std::vector<int32_t> oracle(ours.size());
    for (int64_t n = 0; n < weight.num_rows(); ++n) {
      integer_row(weight.linear(), n, 0, K, ours.data());
      weight.oracle().integer_row(static_cast<uint32_t>(n), oracle);
      for (size_t k = 0; k < ours.size(); ++k) {
        ASSERT_EQ(ours[k], oracle[k]) << kind.name << " " << n << " " << k;
      }
    }
  }
}

TEST(WeightDecode, GgufRowsAreTheOraclesRoundedOnce) {
  std::mt19937 rng(42);
  for (const WeightKindCase& kind : weight_kinds()) {
    if (kind.name != "q2_k" && kind.name != "q3_k") continue;
    const TestWeight weight(random_blocks(kind.scheme.format, 40, 512, rng));
    std::vector<float> ours(256);
    std::vector<double> oracle(512);
    for (int64_t n = 0; n < weight.num_rows(); ++n) {
      weight.oracle().decode_row(static_cast<uint32_t>(n), oracle);
      for (const int64_t begin : {0, 256}) {
        decode_row(weight.linear(), n, begin, begin + 256, ours.data());
        for (int64_t k = 0; k < 256; ++k) {
          ASSERT_EQ(ours[static_cast<size_t>(k)],
                    static_cast<float>(oracle[static_cast<size_t>(begin + k)]))
              << kind.name << " " << n << " " << begin + k;
        }
      }
    }
  }
}

// Scales keep the width that the format gives them.
TEST(WeightPacking, TakesNoMoreBytesThanTheBlocksItComesFrom) {
  std::mt19937 rng(42);
  for (const WeightKindCase& kind : weight_kinds()) {
    const TestWeight weight = random_weight(kind, 64, 1024, rng);
    const WeightShape& shape = weight.linear().shape;
    if (shape.layout != Layout::kFormatTiles) continue;
    size_t canonical = 0;
    for (const format::Plane& plane : weight.planes().planes) {
      canonical += plane.bytes().size();
    }
    // Four bytes: SCALE2 of a tensor is kept for each row.
    EXPECT_LE(shape.packed_bytes, canonical + size_t{64} * 4) << kind.name;
  }
}

tsr_plane& plane_of(std::vector<tsr_plane>& planes, uint32_t role) {
  for (tsr_plane& plane : planes) {
    if (plane.role == role) return plane;
  }
  throw std::runtime_error("no such plane");
}

struct Spoiled {
  std::string name;
  void (*spoil)(tsr_weight_desc& desc, std::vector<tsr_plane>& planes);
  std::string message;
};

const Spoiled spoiled_weights[] = {
    {"NoCodes",
     [](tsr_weight_desc&, std::vector<tsr_plane>& planes) {
       plane_of(planes, TSR_PLANE_CODES).role = 99;
     },
     "codes plane: missing"},
    {"NoScale",
     [](tsr_weight_desc&, std::vector<tsr_plane>& planes) {
       plane_of(planes, TSR_PLANE_SCALE).role = 99;
     },
     "scale plane: missing"},
    {"WrongShape",
     [](tsr_weight_desc&, std::vector<tsr_plane>& planes) {
       plane_of(planes, TSR_PLANE_CODES).cols = 31;
     },
     "codes plane: shape [20, 31] is not [20, 32]"},
    {"OverlappingRows",
     [](tsr_weight_desc&, std::vector<tsr_plane>& planes) {
       plane_of(planes, TSR_PLANE_CODES).row_bytes = 31;
     },
     "codes plane: rows of 31 bytes cannot hold 32"},
    {"ScaleOfIntegers",
     [](tsr_weight_desc&, std::vector<tsr_plane>& planes) {
       plane_of(planes, TSR_PLANE_SCALE).dtype = TSR_I32;
     },
     "scale plane: dtype 4 is not allowed"},
    {"NoBlocks",
     [](tsr_weight_desc&, std::vector<tsr_plane>& planes) {
       plane_of(planes, TSR_PLANE_SCALE).block_k = 0;
     },
     "scale plane: block [1, 0]"},
    {"UnknownFormat",
     [](tsr_weight_desc& desc, std::vector<tsr_plane>&) { desc.format = 77; },
     "weight format 77"},
    {"Empty",
     [](tsr_weight_desc& desc, std::vector<tsr_plane>&) { desc.K = 0; },
     "weight of [20, 0]"},
};

class WeightRefuses : public testing::TestWithParam<Spoiled> {};

TEST_P(WeightRefuses, AndNamesThePlane) {
  std::mt19937 rng(42);
  const WeightKindCase kind{"i8", {.format = TSR_WEIGHT_I8}};
  const TestWeight weight = random_weight(kind, 20, 32, rng);
  const format::WeightView view = weight.planes().view();
  tsr_weight_desc desc = view.desc();
  const auto* first = static_cast<const tsr_plane*>(desc.planes.data);
  std::vector<tsr_plane> planes(first, first + desc.planes.count);
  desc.planes.data = planes.data();
  GetParam().spoil(desc, planes);
  try {
    weight_shape(desc);
    FAIL() << "was taken";
  } catch (const sdk::Error& error) {
    EXPECT_EQ(error.what(), GetParam().message);
  }
}

INSTANTIATE_TEST_SUITE_P(Reasons, WeightRefuses,
                         testing::ValuesIn(spoiled_weights),
                         [](const auto& param) { return param.param.name; });

TEST(WeightPacking, RefusesRowsThatCutATile) {
  std::mt19937 rng(42);
  const WeightKindCase kind{"i8", {.format = TSR_WEIGHT_I8}};
  const TestWeight weight = random_weight(kind, 40, 32, rng);
  const WeightShape& shape = weight.linear().shape;
  std::vector<std::byte> packed(shape.packed_bytes);
  const auto slice = weight.planes().slice(8, 40);
  ASSERT_TRUE(slice.ok());
  EXPECT_THROW(pack_rows(shape, slice->desc(), 8, 40, packed.data()),
               sdk::Error);
}

}  // namespace
}  // namespace tessera::cpu
