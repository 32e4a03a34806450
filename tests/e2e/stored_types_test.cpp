// SPDX-License-Identifier: Apache-2.0
//
// A GGUF file whose linears have the types that others publish runs as the
// values that its blocks decode to, on the oracle and on the cpu.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "framework/eval/evaluate.hpp"
#include "framework/eval/oracle.hpp"
#include "framework/model/build_graph.hpp"
#include "framework/model/gguf/export.hpp"
#include "framework/model/gguf/gguf.hpp"
#include "framework/model/gguf/names.hpp"
#include "framework/model/gguf/writer.hpp"
#include "framework/model/tensor_names.hpp"
#include "tests/e2e/loaded_model.hpp"
#include "tests/unit/framework/format/golden_vectors.hpp"
#include "tests/unit/framework/model/scratch_folder.hpp"

namespace tessera::e2e {
namespace {

struct StoredType {
  const char* name;  // of its vectors
  uint32_t id;       // in GGUF
};
constexpr StoredType kTypes[] = {
    {"q2_K", 10},   {"q3_K", 11},  {"q4_K", 12}, {"q5_K", 13}, {"q6_K", 14},
    {"q4_0", 2},    {"q4_1", 3},   {"q5_0", 6},  {"q5_1", 7},  {"q8_0", 8},
    {"iq4_nl", 20}, {"mxfp4", 39}, {"nvfp4", 40}};

// Of the vectors, those drawn from N(0, 1) whose decoding is there too.
constexpr size_t kFirst = 2048;
constexpr size_t kLast = 4096;

// Norms so much weaker that N(0, 1) as weights overflows no activation.
constexpr float kNormScale = 1.0f / 64.0f;

const Document& text() {
  static const Document kText = {1, 300, 45, 7};
  return kText;
}

std::vector<std::byte> repeated(std::span<const std::byte> bytes,
                                size_t count) {
  std::vector<std::byte> result(count);
  for (size_t i = 0; i < count; ++i) result[i] = bytes[i % bytes.size()];
  return result;
}

class StoredTypes : public ::testing::Test {
 protected:
  void SetUp() override {
    auto model = open_model(default_model_folder());
    ASSERT_TRUE(model.ok()) << model.status().message();
    model_ = std::make_unique<Model>(std::move(*model));
  }

  // Linear i has type i modulo the types; all else is F32.
  Status write(const std::string& path) {
    TSR_ASSIGN_OR_RETURN(const GgufMetadata metadata,
                         gguf_metadata(model_->config, model_->folder, 15));
    const auto names = gguf_names(model_->config);
    std::vector<GgufPlannedTensor> plan;
    std::vector<std::vector<std::byte>> data;
    size_t linear = 0;
    for (const TensorSpec& spec : required_tensors(model_->config)) {
      const bool is_linear =
          spec.shape.size() == 2 && spec.name != kEmbeddingName;
      uint64_t count = 1;
      for (const uint64_t extent : spec.shape) count *= extent;
      if (is_linear) {
        const StoredType& type = kTypes[linear++ % std::size(kTypes)];
        plan.push_back({names.at(spec.name).name, type.id, spec.shape});
        data.push_back(drawn_blocks(spec.name, type, count));
      } else {
        plan.push_back({names.at(spec.name).name, kF32, spec.shape});
        data.push_back(model_floats(spec.name, count));
      }
    }
    EXPECT_GT(linear, std::size(kTypes));
    TSR_ASSIGN_OR_RETURN(GgufWriter writer,
                         GgufWriter::create(path, metadata, plan));
    for (size_t i = 0; i < plan.size(); ++i) {
      TSR_RETURN_IF_ERROR(writer.put(plan[i].name, data[i]));
    }
    return writer.finish();
  }

  // Logits of text(), [tokens, vocab_size].
  Result<std::vector<float>> oracle_logits(const WeightSource& source,
                                           bool as_stored) const {
    TSR_ASSIGN_OR_RETURN(const Graph graph, graph_of(source, as_stored));
    TSR_ASSIGN_OR_RETURN(const Plan plan, plan_of(graph, as_stored));
    TSR_ASSIGN_OR_RETURN(const Oracle oracle,
                         Oracle::create(graph, plan, source));
    return oracle.logits(text(), TSR_PREFILL);
  }

  // The same but for the last token's.
  Result<std::vector<float>> cpu_logits(const WeightSource& source) const {
    TSR_ASSIGN_OR_RETURN(Graph graph, graph_of(source, true));
    TSR_ASSIGN_OR_RETURN(const Plan plan, plan_of(graph, true));
    SessionOptions options;
    options.max_context = kContext;
    options.max_tokens = options.max_outputs = kContext;
    DeviceMap devices;
    TSR_ASSIGN_OR_RETURN(devices["cpu"], open_cpu({}, false));
    TSR_ASSIGN_OR_RETURN(
        const auto session,
        Session::create(std::move(graph), plan, source, devices, options));
    std::vector<float> found;
    TSR_RETURN_IF_ERROR(
        visit_logits(*session, {text()}, TSR_PREFILL,
                     [&](size_t /*document*/, size_t /*position*/,
                         std::span<const float> row) {
                       found.insert(found.end(), row.begin(), row.end());
                     }));
    return found;
  }

  std::unique_ptr<Model> model_;
  std::map<std::string, std::vector<float>> decoded_;  // by Hugging Face name

 private:
  static constexpr uint32_t kF32 = 0;  // in GGUF
  static constexpr uint32_t kContext = 8;

  std::vector<std::byte> drawn_blocks(const std::string& name,
                                      const StoredType& type, uint64_t count) {
    const GgufType& kind = *find_gguf_type(type.id);
    const std::string stem = type.name;
    const auto blocks = format::read_golden(stem + ".blocks.bin");
    const auto values = format::read_golden_f32(stem + ".dequant.f32");
    std::vector<float>& decoded = decoded_[name];
    decoded.resize(count);
    for (uint64_t i = 0; i < count; ++i) {
      decoded[i] = values[kFirst + i % (kLast - kFirst)];
    }
    return repeated(
        std::span(blocks).subspan(kFirst / kind.values * kind.bytes,
                                  (kLast - kFirst) / kind.values * kind.bytes),
        count / kind.values * kind.bytes);
  }

  std::vector<std::byte> model_floats(const std::string& name, uint64_t count) {
    const SourceTensor tensor = *model_->source.tensor(name);
    std::vector<float> values(count);
    for (uint64_t i = 0; i < count; ++i) {
      uint32_t bits = 0;  // BF16 is the upper half of F32
      std::memcpy(reinterpret_cast<std::byte*>(&bits) + 2,
                  tensor.bytes.data() + 2 * i, 2);
      std::memcpy(&values[i], &bits, sizeof(bits));
      if (tensor.shape.size() == 1) values[i] *= kNormScale;
    }
    const auto bytes = std::as_bytes(std::span(values));
    return {bytes.begin(), bytes.end()};
  }

  Result<Graph> graph_of(const WeightSource& source, bool as_stored) const {
    TSR_ASSIGN_OR_RETURN(Graph graph, build_graph(model_->config, kContext));
    if (as_stored) mark_stored(source, graph);
    return graph;
  }

  static Result<Plan> plan_of(const Graph& graph, bool as_stored) {
    TSR_ASSIGN_OR_RETURN(Scheme scheme, find_scheme("f32"));
    scheme.as_stored = as_stored;
    return uniform_plan(graph, "cpu", scheme);
  }
};

// Both differ in roundings to f32 only: half a unit of each of the products of
// a sum and of what each of 6 layers makes of them.
void expect_near(std::span<const float> found, std::span<const float> wanted) {
  ASSERT_LE(found.size(), wanted.size());
  ASSERT_FALSE(found.empty());
  float largest = 0;
  for (const float logit : wanted) {
    ASSERT_TRUE(std::isfinite(logit));
    largest = std::max(largest, std::fabs(logit));
  }
  ASSERT_GT(largest, 0.0f);
  const float tolerance = 768 * 6 * 0x1p-24f * largest;
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], wanted[i], tolerance) << i;
  }
}

TEST_F(StoredTypes, RunAsTheValuesOfTheirBlocks) {
  const ScratchFolder scratch;
  const std::string path = scratch.path() + "/mix.gguf";
  const Status written = write(path);
  ASSERT_TRUE(written.ok()) << written.message();
  const auto file = open_model(path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  for (const auto& [name, values] : decoded_) {
    const auto tensor = file->source.tensor(name);
    ASSERT_TRUE(tensor.ok()) << tensor.status().message();
    // By value: 0 and -0 are the same weight.
    std::vector<float> found(values.size());
    ASSERT_EQ(tensor->bytes.size(), found.size() * sizeof(float));
    std::memcpy(found.data(), tensor->bytes.data(), tensor->bytes.size());
    EXPECT_EQ(found, values) << name;
  }
  WeightSource plain;
  plain.tensor = file->source.tensor;
  const auto wanted = oracle_logits(plain, false);
  ASSERT_TRUE(wanted.ok()) << wanted.status().message();
  const auto stored = oracle_logits(file->source, true);
  ASSERT_TRUE(stored.ok()) << stored.status().message();
  expect_near(*stored, *wanted);
  const auto on_cpu = cpu_logits(file->source);
  ASSERT_TRUE(on_cpu.ok()) << on_cpu.status().message();
  expect_near(*on_cpu, *wanted);
}

}  // namespace
}  // namespace tessera::e2e
