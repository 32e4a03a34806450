// SPDX-License-Identifier: Apache-2.0
//
// What the GGUF writer writes is the model that the reader opens.

#include "framework/model/gguf/writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "framework/model/gguf/export.hpp"
#include "framework/model/gguf/names.hpp"
#include "framework/model/model.hpp"
#include "framework/model/tensor_names.hpp"
#include "tests/unit/framework/model/scratch_folder.hpp"

namespace tessera {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kF32 = 0;
constexpr uint32_t kQ4Zero = 2;

Status write_planned(GgufWriter& writer,
                     const std::vector<std::pair<std::string, size_t>>& puts) {
  for (const auto& [name, bytes] : puts) {
    TSR_RETURN_IF_ERROR(writer.put(name, std::vector<std::byte>(bytes)));
  }
  return writer.finish();
}

// The model's own bytes, in GGUF.
Status export_model(const Model& model, const std::string& path) {
  TSR_ASSIGN_OR_RETURN(const GgufMetadata metadata,
                       gguf_metadata(model.config, model.folder, 0));
  const auto names = gguf_names(model.config);
  const std::vector<TensorSpec> specs = required_tensors(model.config);
  std::vector<GgufPlannedTensor> planned;
  for (const TensorSpec& spec : specs) {
    TSR_ASSIGN_OR_RETURN(const SourceTensor tensor,
                         model.source.tensor(spec.name));
    const uint32_t type = tensor.dtype == TSR_BF16 ? 30 : kF32;
    planned.push_back({names.at(spec.name).name, type, spec.shape});
  }
  TSR_ASSIGN_OR_RETURN(GgufWriter writer,
                       GgufWriter::create(path, metadata, planned));
  for (const TensorSpec& spec : specs) {
    TSR_ASSIGN_OR_RETURN(const SourceTensor tensor,
                         model.source.tensor(spec.name));
    const GgufName& name = names.at(spec.name);
    std::vector<std::byte> bytes(tensor.bytes.begin(), tensor.bytes.end());
    if (name.interleaved_heads > 0) {
      bytes = interleave_rows(bytes, static_cast<uint32_t>(spec.shape[0]),
                              name.interleaved_heads);
    }
    TSR_RETURN_IF_ERROR(writer.put(name.name, bytes));
  }
  return writer.finish();
}

TEST(GgufRows, PairEachDimensionWithItsHalf) {
  EXPECT_THAT(interleaved_rows(8, 2),
              ::testing::ElementsAre(0, 2, 1, 3, 4, 6, 5, 7));
}

class ExportedModel : public ::testing::TestWithParam<const char*> {};

TEST_P(ExportedModel, ComesBackWhole) {
  const std::string folder = std::string(TSR_SOURCE_DIR) + "/" + GetParam();
  if (!std::filesystem::exists(folder)) {
    GTEST_SKIP() << folder << " is not here";
  }
  const auto model = open_model(folder);
  ASSERT_TRUE(model.ok()) << model.status().message();
  const ScratchFolder scratch;
  const std::string path = scratch.path() + "/model.gguf";
  const Status written = export_model(*model, path);
  ASSERT_TRUE(written.ok()) << written.message();

  const auto back = open_model(path);
  ASSERT_TRUE(back.ok()) << back.status().message();
  EXPECT_EQ(back->config.model_type, model->config.model_type);
  EXPECT_EQ(back->config.rms_eps, model->config.rms_eps);
  EXPECT_EQ(back->config.eos_ids, model->config.eos_ids);
  EXPECT_EQ(back->config.bos_id, model->config.bos_id);
  for (const TensorSpec& spec : required_tensors(model->config)) {
    const auto ours = model->source.tensor(spec.name);
    const auto theirs = back->source.tensor(spec.name);
    ASSERT_TRUE(theirs.ok()) << theirs.status().message();
    EXPECT_TRUE(std::ranges::equal(ours->bytes, theirs->bytes)) << spec.name;
  }
  const std::string text = "Once upon a time, Lily's \xc3\xa9t\xc3\xa9: 12 \n!";
  EXPECT_EQ(*back->tokenizer.encode(text), *model->tokenizer.encode(text));
}

INSTANTIATE_TEST_SUITE_P(All, ExportedModel,
                         ::testing::Values("models/tessera-5m",
                                           "../shared/models/stories260K",
                                           "../shared/models/tinystories656k"));

TEST(GgufWriter, RefusesRowsThatBlocksDoNotDivide) {
  const ScratchFolder scratch;
  const auto writer = GgufWriter::create(scratch.path() + "/a.gguf", {},
                                         {{"a", kQ4Zero, {2, 48}}});
  ASSERT_FALSE(writer.ok());
  EXPECT_THAT(writer.status().message(), HasSubstr("rows of 48"));
}

TEST(GgufWriter, LeavesNothingBehindUntilItIsDone) {
  const ScratchFolder scratch;
  {
    auto writer = GgufWriter::create(scratch.path() + "/a.gguf", {},
                                     {{"a", kF32, {2}}, {"b", kF32, {1}}});
    ASSERT_TRUE(writer.ok()) << writer.status().message();
    EXPECT_THAT(writer->put("b", {}).message(), HasSubstr("came where a of 8"));
    EXPECT_THAT(write_planned(*writer, {{"a", 8}}).message(),
                HasSubstr("tensor b is missing"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
}

TEST(GgufWriter, ReplacesTheFileAtTheEnd) {
  const ScratchFolder scratch;
  auto writer =
      GgufWriter::create(scratch.path() + "/a.gguf", {}, {{"a", kF32, {2}}});
  ASSERT_TRUE(writer.ok()) << writer.status().message();
  EXPECT_TRUE(write_planned(*writer, {{"a", 8}}).ok());
  EXPECT_TRUE(std::filesystem::exists(scratch.path() + "/a.gguf"));
}

}  // namespace
}  // namespace tessera
