// SPDX-License-Identifier: Apache-2.0
//
// Scales of int8 attention survive the file.

#include "framework/model/layouts/msmodelslim_attention.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/model/safetensors_writer.hpp"
#include "tests/unit/framework/model/scratch_folder.hpp"

namespace tessera {
namespace {

using ::testing::HasSubstr;

Checkpoint stored(const ScratchFolder& folder,
                  const std::vector<NamedTensor>& tensors) {
  std::vector<PlannedTensor> plans;
  for (const NamedTensor& tensor : tensors) plans.push_back(tensor.plan);
  const ShardPlan shards{folder.path(), "model", 0, {}};
  const Status written = write_shards(
      shards, file_order(std::move(plans)),
      [&](const PlannedTensor& plan) -> Result<std::span<const std::byte>> {
        for (const NamedTensor& tensor : tensors) {
          if (tensor.plan.name == plan.name) return std::span(tensor.bytes);
        }
        return Status(TSR_NOT_FOUND, plan.name);
      });
  EXPECT_TRUE(written.ok()) << written.message();
  auto checkpoint = Checkpoint::open(folder.path());
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  return std::move(*checkpoint);
}

std::vector<NamedTensor> with(std::vector<NamedTensor> tensors,
                              NamedTensor more) {
  tensors.push_back(std::move(more));
  return tensors;
}

TEST(MsmodelslimAttention, ScalesComeBackAsTheyWere) {
  const AttentionScales fa3{TSR_KV_I8_HEAD, {1, 2, 3, 4}, {5, 6}, {7, 8}};
  const AttentionScales c8{TSR_KV_I8_CHANNEL, {}, {1, 2, 3}, {4, 5, 6}};
  const ScratchFolder folder;
  std::vector<NamedTensor> tensors = write_msmodelslim_attention(0, fa3);
  for (NamedTensor& tensor : write_msmodelslim_attention(1, c8)) {
    tensors.push_back(std::move(tensor));
  }
  const Checkpoint checkpoint = stored(folder, tensors);
  EXPECT_NE(checkpoint.find("model.layers.0.self_attn.fa_q.scale"), nullptr);
  EXPECT_NE(checkpoint.find("model.layers.1.self_attn.k_proj.kv_cache_offset"),
            nullptr);
  EXPECT_EQ(*read_msmodelslim_attention(checkpoint, 0), fa3);
  EXPECT_EQ(*read_msmodelslim_attention(checkpoint, 1), c8);
  EXPECT_EQ(*read_msmodelslim_attention(checkpoint, 2), std::nullopt);
}

TEST(MsmodelslimAttention, NamesWhatIsMissingOrCannotBeRead) {
  const AttentionScales c8{TSR_KV_I8_CHANNEL, {}, {1, 2}, {3, 4}};
  const auto message = [](const std::vector<NamedTensor>& tensors) {
    const ScratchFolder folder;
    return read_msmodelslim_attention(stored(folder, tensors), 0)
        .status()
        .message();
  };
  const std::string k = "model.layers.0.self_attn.k_proj.";
  const std::vector<float> ones = {1, 1};
  const std::vector<float> one = {1};
  std::vector<NamedTensor> tensors = write_msmodelslim_attention(0, c8);
  tensors.resize(2);  // K alone
  EXPECT_THAT(message(tensors), HasSubstr("v_proj.kv_cache_scale"));
  tensors.resize(1);
  EXPECT_THAT(message(with(tensors, make_tensor<float>(k + "kv_cache_offset",
                                                       TSR_F32, {2}, ones))),
              HasSubstr("asymmetric int8 attention is not read"));
  EXPECT_THAT(message(with(tensors, make_tensor<float>(k + "kv_cache_offset",
                                                       TSR_F32, {1}, one))),
              HasSubstr("has another shape than the scales"));
}

}  // namespace
}  // namespace tessera
