// SPDX-License-Identifier: Apache-2.0
//
// A W8A8SC linear comes back with its codes and scales, bit for bit, and no
// stream of another rank or model does.

#include "framework/model/layouts/msmodelslim_sparse.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "framework/format/decode.hpp"
#include "framework/format/sparse/sparse_file.hpp"
#include "framework/model/layouts/msmodelslim_layout.hpp"
#include "tessera/ops.h"
#include "tests/unit/framework/model/layouts/layout_folder.hpp"

namespace tessera {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kN = 260;  // a tile and a part of one
constexpr uint32_t kK = 130;

std::vector<int8_t> random_codes() {
  std::mt19937 rng(42);
  std::normal_distribution<float> normal(0.0f, 12.0f);
  std::vector<int8_t> codes(kN * kK);
  for (int8_t& code : codes) {
    code = static_cast<int8_t>(std::clamp(normal(rng), -127.0f, 127.0f));
  }
  return codes;
}

format::WeightData sparse_weight() {
  format::Plane scale = make_plane(TSR_PLANE_SCALE, TSR_F16, kN, 1);
  scale.block_n = 1;
  scale.block_k = kK;
  for (uint32_t n = 0; n < kN; ++n) {
    scale.owned[2 * n] = static_cast<std::byte>(n * 7);
    scale.owned[2 * n + 1] = std::byte{0x2c};
  }
  format::WeightData weight = *format::sparse_fixed_weight(
      *format::encode_sparse_fixed(kN, kK, random_codes()), std::move(scale));
  EXPECT_TRUE(add_static_scale(0.037f, 5, &weight).ok());
  return weight;
}

LayoutFolder folder_of(const format::WeightData& weight) {
  LayoutFolder folder;
  folder.config_file = kMsModelSlimDescription;
  folder.config = {{std::string(kModule) + ".weight", "W8A8SC"}};
  auto tensors = write_msmodelslim_linear(
      kModule, weight, {TSR_WEIGHT_SPARSE_FIXED, 0, true, TSR_ACT_I8_STATIC},
      TSR_F32, {});
  EXPECT_TRUE(tensors.ok()) << tensors.status().message();
  for (NamedTensor& tensor : *tensors) {
    const std::string part =
        tensor.plan.name.substr(std::string(kModule).size() + 1);
    folder.tensors[part] = std::move(tensor);
  }
  return folder;
}

// The container for another place in tensor parallelism.
void compress_for(const format::TensorParallel& place, LayoutFolder& folder) {
  auto bytes = format::write_sparse_file(kN, kK, random_codes(),
                                         format::SparseCode::kEntropy, place);
  ASSERT_TRUE(bytes.ok());
  NamedTensor& weight = folder.tensors.at("weight");
  weight.plan.shape = {bytes->size()};
  weight.bytes = std::move(*bytes);
}

TEST(MsModelSlimSparse, ComesBackBitForBit) {
  const format::WeightData weight = sparse_weight();
  const LayoutFolder folder = folder_of(weight);
  const auto values = folder.read();
  ASSERT_TRUE(values.ok()) << values.status().message();
  EXPECT_EQ(*values, *format::decode_weight(weight));
  // Smaller than the codes.
  EXPECT_LT(folder.tensors.at("weight").bytes.size(), size_t{kN} * kK);
}

TEST(MsModelSlimSparse, ChecksEveryTensor) {
  expect_each_is_checked(
      folder_of(sparse_weight()),
      {"weight", "index", "info", "weight_scale", "input_scale", "input_offset",
       "quant_bias", "deq_scale"});
}

TEST(MsModelSlimSparse, RefusesAnotherDegreeOfTensorParallelism) {
  LayoutFolder folder = folder_of(sparse_weight());
  compress_for({4, 1, format::ShardAxis::kRows}, folder);
  EXPECT_THAT(folder.error(), HasSubstr("degree 4"));
}

TEST(MsModelSlimSparse, RefusesWhatDoesNotAgree) {
  const LayoutFolder whole = folder_of(sparse_weight());
  const auto with_info = [&whole](std::vector<int64_t> info) {
    LayoutFolder folder = whole;
    folder.put("info", TSR_I64, {5}, info);
    return folder.error();
  };
  EXPECT_THAT(with_info({256, 128, kK, kN + 1, 1}), HasSubstr("weight_scale"));
  EXPECT_THAT(with_info({256, 128, kK + 1, kN, 1}), HasSubstr("holds"));
  EXPECT_THAT(with_info({8, 8, kK, kN, 1}), HasSubstr("only streams that"));
  EXPECT_THAT(with_info({256, 128, -1, kN, 1}), HasSubstr("info"));
  LayoutFolder folder = whole;
  folder.tensors.at("index").bytes[9] ^= std::byte{1};
  EXPECT_THAT(folder.error(), HasSubstr("index"));
}

TEST(MsModelSlimSparse, DamagedAnywhereIsOneError) {
  const LayoutFolder whole = folder_of(sparse_weight());
  const size_t size = whole.tensors.at("weight").bytes.size();
  std::mt19937 rng(42);
  for (int round = 0; round < 200; ++round) {
    LayoutFolder folder = whole;
    folder.tensors.at("weight").bytes[rng() % size] ^=
        static_cast<std::byte>(1U << (rng() % 8));
    EXPECT_NE(folder.error(), "") << round;
  }
  for (size_t kept = 0; kept < size; kept += 997) {
    LayoutFolder folder = whole;
    NamedTensor& weight = folder.tensors.at("weight");
    weight.bytes.resize(kept);
    weight.plan.shape = {kept};
    EXPECT_NE(folder.error(), "") << kept;
  }
}

TEST(MsModelSlimSparse, LiesInTheFolderOfItsRank) {
  const ScratchFolder scratch;
  for (const char* part : {"part0-of-2", "part1-of-2"}) {
    std::filesystem::create_directory(scratch.path() + "/" + part);
  }
  const auto two = Checkpoint::open(scratch.path());
  ASSERT_FALSE(two.ok());
  EXPECT_THAT(two.status().message(), HasSubstr("divided between 2 ranks"));

  const ScratchFolder single;
  std::filesystem::create_directory(single.path() + "/part0-of-1");
  single.write("part0-of-1/model.safetensors",
               safetensors_bytes("{}      ", ""));
  EXPECT_TRUE(Checkpoint::open(single.path()).ok());
}

}  // namespace
}  // namespace tessera
