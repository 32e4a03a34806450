// SPDX-License-Identifier: Apache-2.0
//
// Both forms of an importance matrix are read alike, and none of another model.

#include "framework/model/gguf/imatrix.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <limits>
#include <span>

#include "framework/model/gguf/writer.hpp"
#include "tests/unit/framework/model/scratch_folder.hpp"

namespace tessera {
namespace {

using ::testing::HasSubstr;

struct Entry {
  std::string name;
  std::vector<float> sums;
  int32_t count = 1;
};

ModelConfig tiny_config() {
  ModelConfig config;
  config.architecture = "LlamaForCausalLM";
  config.hidden_size = 4;
  config.intermediate_size = 6;
  config.num_layers = 1;
  config.num_q_heads = 1;
  config.num_kv_heads = 1;
  config.head_dim = 4;
  config.vocab_size = 10;
  config.tie_word_embeddings = true;
  return config;
}

std::vector<Entry> whole() {
  std::vector<Entry> entries;
  for (const char* part :
       {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up"}) {
    entries.push_back(
        {std::string("blk.0.") + part + ".weight", {2, 4, 6, 8}, 2});
  }
  entries.push_back({"blk.0.ffn_down.weight", {1, 2, 3, 4, 5, 6}, 0});
  return entries;
}

template <typename T>
void append(T value, std::string& out) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

std::string legacy_bytes(const std::vector<Entry>& entries) {
  std::string bytes;
  append(static_cast<int32_t>(entries.size()), bytes);
  for (const Entry& entry : entries) {
    append(static_cast<int32_t>(entry.name.size()), bytes);
    bytes += entry.name;
    append(entry.count, bytes);
    append(static_cast<int32_t>(entry.sums.size()), bytes);
    for (const float sum : entry.sums) append(sum, bytes);
  }
  return bytes;
}

std::string write_gguf(const ScratchFolder& scratch,
                       const std::vector<Entry>& entries) {
  const std::string path = scratch.path() + "/imatrix.gguf";
  GgufMetadata metadata;
  metadata.add_string("general.type", "imatrix");
  std::vector<GgufPlannedTensor> plan;
  for (const Entry& entry : entries) {
    plan.push_back({entry.name + ".in_sum2", 0, {1, entry.sums.size()}});
    plan.push_back({entry.name + ".counts", 0, {1, 1}});
  }
  auto writer = GgufWriter::create(path, metadata, plan);
  EXPECT_TRUE(writer.ok()) << writer.status().message();
  for (const Entry& entry : entries) {
    const auto count = static_cast<float>(entry.count);
    EXPECT_TRUE(
        writer
            ->put(entry.name + ".in_sum2", std::as_bytes(std::span(entry.sums)))
            .ok());
    EXPECT_TRUE(
        writer->put(entry.name + ".counts", std::as_bytes(std::span(&count, 1)))
            .ok());
  }
  EXPECT_TRUE(writer->finish().ok());
  return path;
}

std::string error_of(const std::string& path) {
  const auto importance = read_imatrix(path, tiny_config());
  return importance.ok() ? "" : importance.status().message();
}

TEST(Imatrix, IsTheSameInBothForms) {
  const ScratchFolder scratch;
  const auto legacy = read_imatrix(
      scratch.write("a.dat", legacy_bytes(whole())), tiny_config());
  ASSERT_TRUE(legacy.ok()) << legacy.status().message();
  EXPECT_EQ(legacy->at("model.layers.0.self_attn.v_proj.weight"),
            (std::vector<float>{1, 2, 3, 4}));
  // Where nothing was counted every column weighs the same.
  EXPECT_EQ(legacy->at("model.layers.0.mlp.down_proj.weight"),
            std::vector<float>(6, 1.0f));
  const auto gguf = read_imatrix(write_gguf(scratch, whole()), tiny_config());
  ASSERT_TRUE(gguf.ok()) << gguf.status().message();
  EXPECT_EQ(*gguf, *legacy);
}

TEST(Imatrix, OfAnotherModelIsRefused) {
  const ScratchFolder scratch;
  const auto legacy_error = [&scratch](const std::vector<Entry>& entries) {
    return error_of(scratch.write("a.dat", legacy_bytes(entries)));
  };
  std::vector<Entry> entries = whole();
  entries.push_back({"blk.1.attn_q.weight", {1, 1, 1, 1}});
  EXPECT_THAT(legacy_error(entries), HasSubstr("blk.1.attn_q.weight"));
  EXPECT_THAT(error_of(write_gguf(scratch, entries)),
              HasSubstr("blk.1.attn_q.weight"));
  entries = whole();
  entries[0].sums.push_back(1.0f);
  EXPECT_THAT(legacy_error(entries), HasSubstr("5 columns, but"));
  entries = whole();
  entries.pop_back();
  EXPECT_THAT(legacy_error(entries), HasSubstr("no entry blk.0.ffn_down"));
}

TEST(Imatrix, WithNumbersThatCannotBeIsRefused) {
  const ScratchFolder scratch;
  for (const float bad : {-1.0f, std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<Entry> entries = whole();
    entries[2].sums[1] = bad;
    EXPECT_THAT(error_of(scratch.write("a.dat", legacy_bytes(entries))),
                HasSubstr("blk.0.attn_v.weight"));
  }
}

TEST(Imatrix, CutShortAnywhereIsOneError) {
  const ScratchFolder scratch;
  const std::string bytes = legacy_bytes(whole());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_NE(error_of(scratch.write("a.dat", bytes.substr(0, size))), "")
        << size;
  }
  const std::string path = write_gguf(scratch, whole());
  std::ifstream file(path, std::ios::binary);
  const std::string gguf((std::istreambuf_iterator<char>(file)), {});
  for (size_t size = 0; size + 32 < gguf.size(); size += 7) {
    EXPECT_NE(error_of(scratch.write("b.gguf", gguf.substr(0, size))), "")
        << size;
  }
  EXPECT_THAT(error_of(scratch.path() + "/none.dat"), HasSubstr("none.dat"));
}

}  // namespace
}  // namespace tessera
