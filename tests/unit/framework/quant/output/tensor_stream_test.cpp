// SPDX-License-Identifier: Apache-2.0
//
// Whatever the sizes, and wherever a run stopped, the files hold the tensors
// that were appended.

#include "framework/quant/output/tensor_stream.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "framework/model/json_document.hpp"
#include "framework/model/safetensors.hpp"
#include "tessera/types.h"
#include "tests/unit/framework/model/scratch_folder.hpp"

namespace tessera::quant {
namespace {

using ::testing::HasSubstr;

// `count` bytes that no other tensor begins with.
NamedTensor bytes_of(const std::string& name, uint64_t count) {
  NamedTensor tensor{{name, TSR_U8, {count}}, {}};
  for (uint64_t i = 0; i < count; ++i) {
    tensor.bytes.push_back(
        static_cast<std::byte>((i + 37 * name.back()) & 255U));
  }
  return tensor;
}

// Sizes on both sides of the alignment, and none at all.
std::vector<NamedTensor> tensors() {
  std::vector<NamedTensor> made;
  char letter = 'a';
  for (const uint64_t count : {64, 7, 8, 0, 400, 1, 96, 9}) {
    made.push_back(bytes_of(std::string("layer.") + letter++, count));
  }
  return made;
}

using Contents = std::map<std::string, std::vector<std::byte>>;

Contents wanted() {
  Contents contents;
  for (NamedTensor& tensor : tensors()) {
    contents[tensor.plan.name] = std::move(tensor.bytes);
  }
  return contents;
}

void add_file(const std::string& path, Contents* contents) {
  const auto file = Safetensors::open(path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  for (const TensorView& tensor : file->tensors()) {
    EXPECT_TRUE(
        contents
            ->emplace(tensor.name, std::vector<std::byte>(tensor.data.begin(),
                                                          tensor.data.end()))
            .second)
        << tensor.name;
  }
}

size_t num_files(const std::string& folder) {
  return static_cast<size_t>(
      std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST(TensorStream, SmallModelsAreOneFileWithoutRoom) {
  const ScratchFolder scratch;
  TensorStream stream(scratch.path());
  for (const NamedTensor& tensor : tensors()) {
    ASSERT_TRUE(stream.append(tensor.plan, tensor.bytes).ok());
  }
  ASSERT_TRUE(stream.finish("model").ok());
  EXPECT_EQ(num_files(scratch.path()), 1U);
  const std::string path = scratch.path() + "/model.safetensors";
  EXPECT_LT(std::filesystem::file_size(path), 4096U);
  Contents found;
  add_file(path, &found);
  EXPECT_EQ(found, wanted());
}

TEST(TensorStream, LargeModelsAreShardsWithAnIndex) {
  const ScratchFolder scratch;
  // The tensor of 400 bytes is larger than a shard may be, and gets one.
  TensorStream stream(scratch.path(), {.small_bytes = 0, .shard_bytes = 128});
  for (NamedTensor& tensor : tensors()) {
    ASSERT_TRUE(stream.append_behind(std::move(tensor)).ok());
  }
  ASSERT_TRUE(stream.finish("model").ok());
  const auto index =
      read_json(scratch.path() + "/model.safetensors.index.json");
  ASSERT_TRUE(index.ok()) << index.status().message();
  Contents found;
  std::map<std::string, std::string> file_of;
  for (size_t i = 1; i < num_files(scratch.path()); ++i) {
    const std::string name = "model-0000" + std::to_string(i) + "-of-0000" +
                             std::to_string(num_files(scratch.path()) - 1) +
                             ".safetensors";
    Contents here;
    add_file(scratch.path() + "/" + name, &here);
    EXPECT_FALSE(here.empty());
    for (auto& [tensor, bytes] : here) file_of[tensor] = name;
    found.merge(here);
  }
  EXPECT_GE(num_files(scratch.path()), 4U);
  EXPECT_EQ(found, wanted());
  EXPECT_EQ((index->at("weight_map").get<std::map<std::string, std::string>>()),
            file_of);
  EXPECT_EQ(index->at("metadata").at("total_size"), 585);
}

class Restored : public ::testing::TestWithParam<uint64_t> {};

TEST_P(Restored, AStreamGoesOnAndForgetsWhatCameAfterItsState) {
  const StreamLimits limits{.small_bytes = GetParam(), .shard_bytes = 128};
  for (size_t stop = 0; stop <= tensors().size(); ++stop) {
    SCOPED_TRACE(stop);
    const ScratchFolder scratch;
    nlohmann::json state;
    {
      TensorStream stream(scratch.path(), limits);
      for (size_t i = 0; i < stop; ++i) {
        ASSERT_TRUE(stream.append_behind(tensors()[i]).ok());
      }
      state = *stream.state();
      const NamedTensor lost = bytes_of("lost", 16);
      ASSERT_TRUE(stream.append(lost.plan, lost.bytes).ok());
    }
    TensorStream stream(scratch.path(), limits);
    ASSERT_TRUE(stream.restore(state).ok());
    for (size_t i = stop; i < tensors().size(); ++i) {
      const NamedTensor tensor = tensors()[i];
      ASSERT_TRUE(stream.append(tensor.plan, tensor.bytes).ok());
    }
    ASSERT_TRUE(stream.finish("model").ok());
    Contents found;
    for (const auto& entry :
         std::filesystem::directory_iterator(scratch.path())) {
      if (entry.path().extension() == ".safetensors") {
        add_file(entry.path().string(), &found);
      }
    }
    EXPECT_EQ(found, wanted());
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, Restored, ::testing::Values(0, 1 << 20),
                         [](const auto& small) {
                           return small.param == 0 ? "Large" : "Small";
                         });

TEST(TensorStream, FilesThatWereCutAreDataLoss) {
  const ScratchFolder scratch;
  nlohmann::json state;
  std::string part;
  {
    TensorStream stream(scratch.path());
    const NamedTensor tensor = bytes_of("a", 64);
    ASSERT_TRUE(stream.append(tensor.plan, tensor.bytes).ok());
    state = *stream.state();
    part = scratch.path() + "/" +
           state.at("parts").at(0).at("file").get<std::string>();
  }
  std::filesystem::resize_file(part, std::filesystem::file_size(part) - 1);
  TensorStream stream(scratch.path());
  const Status restored = stream.restore(state);
  EXPECT_EQ(restored.code(), TSR_DATA_LOSS);
  EXPECT_THAT(restored.message(), HasSubstr(part));
}

TEST(TensorStream, RefusesATensorTwiceOrOfAnotherSize) {
  const ScratchFolder scratch;
  TensorStream stream(scratch.path());
  const NamedTensor tensor = bytes_of("twice", 8);
  ASSERT_TRUE(stream.append(tensor.plan, tensor.bytes).ok());
  EXPECT_THAT(stream.append(tensor.plan, tensor.bytes).message(),
              HasSubstr("twice"));
  EXPECT_THAT(stream.append({"short", TSR_F32, {3}}, tensor.bytes).message(),
              HasSubstr("short"));
}

}  // namespace
}  // namespace tessera::quant
