// SPDX-License-Identifier: Apache-2.0

#include "framework/format/weight.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "framework/format/encode.hpp"
#include "framework/format/weight_check.hpp"

namespace tessera::format {
namespace {

using testing::HasSubstr;

WeightData make_weight(const WeightScheme& scheme, uint32_t N, uint32_t K) {
  std::vector<float> values(size_t{N} * K);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i % 17) - 8.0f;
  }
  return *encode_weight(scheme, N, K, values);
}

TEST(Weight, FormatNamesRoundTrip) {
  for (uint32_t format = TSR_WEIGHT_F32; format <= TSR_WEIGHT_IQ4_NL;
       ++format) {
    EXPECT_EQ(weight_format_from_name(weight_format_name(format)), format);
  }
  EXPECT_EQ(weight_format_name(99), "weight format 99");
  EXPECT_EQ(weight_format_from_name("q9"), 0u);
}

TEST(Weight, CountsTheBytesOfAllPlanes) {
  const WeightData weight = make_weight(
      {.format = TSR_WEIGHT_U4, .group_size = 4, .symmetric = false}, 3, 7);
  // 4 bytes of codes, two f32 scales and two zero points a row.
  EXPECT_EQ(weight.bytes(), 3u * (4 + 8 + 2));
}

TEST(Weight, ViewsSurviveCopiesAndMoves) {
  WeightData weight = make_weight({.format = TSR_WEIGHT_I8}, 2, 5);
  const WeightData copy = weight;
  const WeightData moved = std::move(weight);
  for (const WeightData* data : {&copy, &moved}) {
    const WeightView view = data->view();
    const auto codes = find_plane(view.desc(), TSR_PLANE_CODES);
    ASSERT_TRUE(codes.has_value());
    EXPECT_EQ(codes->data, data->find(TSR_PLANE_CODES)->bytes().data());
    EXPECT_TRUE(check_weight(view.desc()).ok());
  }
}

// Rows 2 and 3 of every plane, as packing_slice wants them.
TEST(Weight, SlicesBlockedPlanesAndKeepsTheOthersWhole) {
  WeightData weight = make_weight(
      {.format = TSR_WEIGHT_U4, .group_size = 4, .symmetric = false}, 5, 7);
  Plane permutation{TSR_PLANE_PERMUTATION, TSR_I32, 1, 7, 0, 0, {}, {}};
  permutation.owned.resize(28);
  weight.planes.push_back(permutation);
  Plane bias{TSR_PLANE_QUANT_BIAS, TSR_I32, 5, 1, 1, 7, {}, {}};
  bias.owned.resize(20);
  weight.planes.push_back(bias);
  ASSERT_TRUE(check_weight(weight.view().desc()).ok());

  const auto slice = weight.slice(2, 4);
  ASSERT_TRUE(slice.ok());
  const tsr_weight_desc desc = slice->desc();
  EXPECT_EQ(desc.N, 2u);
  EXPECT_EQ(desc.K, 7u);
  const auto status = check_weight(desc);
  EXPECT_TRUE(status.ok()) << status.message();
  for (const uint32_t role : {TSR_PLANE_CODES, TSR_PLANE_SCALE,
                              TSR_PLANE_ZERO_POINT, TSR_PLANE_QUANT_BIAS}) {
    const auto plane = find_plane(desc, role);
    EXPECT_EQ(plane->rows, 2u);
    EXPECT_EQ(plane->data, weight.find(role)->row(2));
  }
  EXPECT_EQ(find_plane(desc, TSR_PLANE_PERMUTATION)->data,
            weight.find(TSR_PLANE_PERMUTATION)->row(0));
}

TEST(Weight, SlicesKeepPerTensorScales) {
  const WeightData weight =
      make_weight({.format = TSR_WEIGHT_I8, .per_tensor = true}, 5, 3);
  const auto slice = weight.slice(4, 5);
  ASSERT_TRUE(slice.ok());
  EXPECT_TRUE(check_weight(slice->desc()).ok());
  EXPECT_EQ(find_plane(slice->desc(), TSR_PLANE_SCALE)->data,
            weight.find(TSR_PLANE_SCALE)->row(0));
}

TEST(Weight, RefusesSlicesThatDoNotExist) {
  WeightData weight = make_weight({.format = TSR_WEIGHT_I8}, 5, 3);
  EXPECT_FALSE(weight.slice(2, 2).ok());
  EXPECT_FALSE(weight.slice(3, 2).ok());
  EXPECT_EQ(weight.slice(0, 6).status().message(),
            "rows 0 to 6 of a weight of 5");

  Plane* scale = weight.find(TSR_PLANE_SCALE);
  scale->rows = 2;
  scale->block_n = 4;
  ASSERT_TRUE(check_weight(weight.view().desc()).ok());
  EXPECT_EQ(weight.slice(0, 2).status().code(), TSR_UNIMPLEMENTED);
  EXPECT_EQ(weight.slice(2, 5).status().code(), TSR_UNIMPLEMENTED);
  EXPECT_TRUE(weight.slice(4, 5).ok());
  EXPECT_TRUE(weight.slice(0, 4).ok());
}

TEST(Weight, BorrowsDenseMemory) {
  const std::vector<std::byte> bytes(24);
  const auto weight = borrow_dense_weight(TSR_WEIGHT_BF16, 3, 4, bytes);
  ASSERT_TRUE(weight.ok());
  EXPECT_EQ(weight->find(TSR_PLANE_CODES)->row(1), bytes.data() + 8);
  EXPECT_TRUE(check_weight(weight->view().desc()).ok());

  EXPECT_EQ(borrow_dense_weight(TSR_WEIGHT_F32, 3, 4, bytes).status().message(),
            "24 bytes for f32 [3, 4]");
  EXPECT_FALSE(borrow_dense_weight(TSR_WEIGHT_I8, 3, 8, bytes).ok());
  // 2^31 * 2^31 * 4 is 0 modulo 2^64.
  EXPECT_FALSE(
      borrow_dense_weight(TSR_WEIGHT_F32, 1U << 31, 1U << 31, {}).ok());
}

// What check_weight says after `change` to a valid weight.
template <typename Change>
Status check_changed(const WeightScheme& scheme, const Change& change) {
  WeightData weight = make_weight(scheme, 4, 64);
  change(weight);
  return check_weight(weight.view().desc());
}

TEST(CheckWeight, AcceptsWhatTheEncoderWrites) {
  std::vector<WeightScheme> schemes = {
      {.format = TSR_WEIGHT_I4, .group_size = 32, .two_level = true}};
  for (uint32_t format = TSR_WEIGHT_F32; format <= TSR_WEIGHT_Q8_0; ++format) {
    schemes.push_back({.format = format});
  }
  for (const uint32_t format :
       {TSR_WEIGHT_Q4_K, TSR_WEIGHT_Q5_K, TSR_WEIGHT_Q6_K}) {
    schemes.push_back({.format = format});
  }
  for (const WeightScheme& scheme : schemes) {
    const Status status =
        check_weight(make_weight(scheme, 4, 256).view().desc());
    EXPECT_TRUE(status.ok()) << status.message();
  }
}

TEST(CheckWeight, NamesThePlaneAndTheClash) {
  struct Case {
    uint32_t format;
    void (*change)(WeightData&);
    const char* message;
  };
  const Case cases[] = {
      {TSR_WEIGHT_I8, [](WeightData& w) { w.planes.clear(); },
       "weight i8: codes plane: missing"},
      {TSR_WEIGHT_I8, [](WeightData& w) { w.planes.pop_back(); },
       "scale plane: missing"},
      {TSR_WEIGHT_I8, [](WeightData& w) { w.planes[0].dtype = TSR_U8; },
       "codes plane: dtype u8 is not allowed"},
      {TSR_WEIGHT_I8, [](WeightData& w) { w.planes[0].dtype = 200; },
       "codes plane: dtype dtype 200 is not allowed"},
      {TSR_WEIGHT_I8, [](WeightData& w) { w.planes[0].cols = 63; },
       "codes plane: shape [4, 63] is not [4, 64]"},
      {TSR_WEIGHT_I8, [](WeightData& w) { w.planes[1].block_k = 0; },
       "scale plane: block [1, 0]"},
      {TSR_WEIGHT_I8, [](WeightData& w) { w.planes[1].block_k = 32; },
       "scale plane: shape [4, 1] is not [4, 2]"},
      {TSR_WEIGHT_MXFP4,
       [](WeightData& w) {
         w.planes[1].block_k = 16;
         w.planes[1].cols = 4;
       },
       "scale plane: group 16 is not 32"},
      {TSR_WEIGHT_I8,
       [](WeightData& w) {
         w.planes.push_back(w.planes[1]);
         w.planes[2].role = TSR_PLANE_ZERO_POINT;
       },
       "zero_point plane: dtype f32 is not allowed"},
      {TSR_WEIGHT_I4, [](WeightData& w) { w.planes[1].dtype = TSR_U8; },
       "scale2 plane: missing beside u8 scales"},
      {TSR_WEIGHT_Q4_0, [](WeightData& w) { w.K = 63; },
       "K=63 is not a multiple of the block of 32"},
      {TSR_WEIGHT_F32, [](WeightData& w) { w.N = 0; }, "shape [0, 64]"},
      {TSR_WEIGHT_F32, [](WeightData& w) { w.format = 99; }, "weight format"},
      {TSR_WEIGHT_F32,
       [](WeightData& w) {
         w.planes.push_back(
             Plane{TSR_PLANE_PERMUTATION, TSR_I32, 1, 63, 0, 0, {}, {}});
       },
       "permutation plane: shape [1, 63] is not [1, 64]"},
  };
  for (const Case& item : cases) {
    const Status status = check_changed({.format = item.format}, item.change);
    ASSERT_FALSE(status.ok()) << item.message;
    EXPECT_THAT(status.message(), HasSubstr(item.message));
  }
}

TEST(CheckWeight, RefusesExtensionsThatMustBeUnderstood) {
  const WeightData weight = make_weight({}, 1, 1);
  const WeightView view = weight.view();
  tsr_ext ext{sizeof(tsr_ext), 0, "com.vendor.feature", nullptr};
  tsr_weight_desc desc = view.desc();
  desc.next = &ext;
  EXPECT_TRUE(check_weight(desc).ok());
  ext.flags = TSR_MUST_UNDERSTAND;
  EXPECT_EQ(check_weight(desc).code(), TSR_UNIMPLEMENTED);
  EXPECT_THAT(check_weight(desc).message(), HasSubstr("com.vendor.feature"));
}

}  // namespace
}  // namespace tessera::format
