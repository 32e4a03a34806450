// SPDX-License-Identifier: Apache-2.0

#include "framework/model/checkpoint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/model/checkpoint_source.hpp"
#include "tests/unit/framework/model/scratch_folder.hpp"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

// One U8 tensor of one byte.
std::string one_tensor(const std::string& name, char value,
                       const std::string& metadata = "{}") {
  return safetensors_bytes(
      R"({"__metadata__":)" + metadata + R"(,")" + name +
          R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
      std::string(1, value));
}

TEST(Checkpoint, FindsTensorsOfASingleFile) {
  const ScratchFolder folder;
  folder.write("model.safetensors", one_tensor("a", 'x'));
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  ASSERT_NE(checkpoint->find("a"), nullptr);
  EXPECT_EQ(static_cast<char>(checkpoint->find("a")->data[0]), 'x');
  EXPECT_EQ(checkpoint->find("b"), nullptr);
  EXPECT_EQ(checkpoint->bytes(), 1U);
}

TEST(Checkpoint, FollowsAliasesToStoredTensorsOnly) {
  const ScratchFolder folder;
  folder.write("model.safetensors",
               one_tensor("head", 'x',
                          R"({"embed":"head","format":"pt","head":"head"})"));
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  EXPECT_EQ(checkpoint->find("embed"), checkpoint->find("head"));
  EXPECT_EQ(checkpoint->find("format"), nullptr);
  EXPECT_THAT(checkpoint->aliases(), ElementsAre(Pair("embed", "head")));
  EXPECT_EQ(checkpoint->tensors().size(), 1U);
}

TEST(Checkpoint, FindsTensorsInTheirShards) {
  const ScratchFolder folder;
  folder.write("one.safetensors", one_tensor("a", 'x'));
  folder.write("two.safetensors", one_tensor("b", 'y'));
  folder.write("model.safetensors.index.json",
               R"({"metadata":{"total_size":2},
                   "weight_map":{"a":"one.safetensors",
                                 "b":"two.safetensors"}})");
  auto opened = Checkpoint::open(folder.path());
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  const Checkpoint checkpoint = std::move(*opened);
  EXPECT_EQ(static_cast<char>(checkpoint.find("a")->data[0]), 'x');
  EXPECT_EQ(static_cast<char>(checkpoint.find("b")->data[0]), 'y');
  EXPECT_EQ(checkpoint.bytes(), 2U);
}

TEST(Checkpoint, IsAWeightSource) {
  const ScratchFolder folder;
  folder.write("model.safetensors",
               one_tensor("head", 'x', R"({"embed":"head"})"));
  auto opened = Checkpoint::open(folder.path());
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  const WeightSource source = checkpoint_source(*opened);
  for (const char* name : {"head", "embed"}) {
    const auto tensor = source.tensor(name);
    ASSERT_TRUE(tensor.ok());
    EXPECT_EQ(tensor->dtype, TSR_U8);
    EXPECT_THAT(tensor->shape, ElementsAre(1));
    EXPECT_EQ(static_cast<char>(tensor->bytes[0]), 'x');
  }
  EXPECT_EQ(source.tensor("none").status().message(), "no tensor none");
}

TEST(Checkpoint, NamesAMissingShard) {
  const ScratchFolder folder;
  folder.write("model.safetensors.index.json",
               R"({"weight_map":{"a":"gone.safetensors"}})");
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_EQ(checkpoint.status().code(), TSR_NOT_FOUND);
  EXPECT_THAT(checkpoint.status().message(), HasSubstr("gone.safetensors"));
}

TEST(Checkpoint, NamesATensorThatItsShardLacks) {
  const ScratchFolder folder;
  folder.write("one.safetensors", one_tensor("a", 'x'));
  folder.write("model.safetensors.index.json",
               R"({"weight_map":{"b":"one.safetensors"}})");
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_EQ(checkpoint.status().code(), TSR_NOT_FOUND);
  EXPECT_THAT(checkpoint.status().message(),
              HasSubstr("one.safetensors: no tensor b"));
}

TEST(Checkpoint, SaysThatAFolderHoldsNoModel) {
  const ScratchFolder folder;
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_EQ(checkpoint.status().code(), TSR_NOT_FOUND);
  EXPECT_THAT(checkpoint.status().message(),
              HasSubstr("no model.safetensors and no"));
}

TEST(ShardIndex, RefusesShardsOutsideTheFolder) {
  for (const char* shard :
       {"../x", "/etc/passwd", "a/b", "..", ".", "", "a\\\\b", "a\\u0000b"}) {
    const std::string text =
        R"({"weight_map":{"t":")" + std::string(shard) + R"("}})";
    const auto index = parse_shard_index(text, "index.json");
    ASSERT_FALSE(index.ok()) << shard;
    EXPECT_EQ(index.status().code(), TSR_INVALID_ARGUMENT);
    EXPECT_THAT(index.status().message(), HasSubstr("tensor t in"));
  }
  for (const char* text :
       {"{}", "[]", R"({"weight_map":[]})", R"({"weight_map":{}})",
        R"({"weight_map":{"t":1}})"}) {
    EXPECT_FALSE(parse_shard_index(text, "index.json").ok()) << text;
  }
}

}  // namespace
}  // namespace tessera
