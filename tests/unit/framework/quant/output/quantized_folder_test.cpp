// SPDX-License-Identifier: Apache-2.0
//
// A quantized folder runs as the quantized model in memory does, to the last
// bit.

#include <gtest/gtest.h>

#include <filesystem>

#include "framework/eval/oracle.hpp"
#include "framework/format/encode.hpp"
#include "framework/format/sparse/sparse_tile.hpp"
#include "framework/model/build_graph.hpp"
#include "framework/model/layouts/quantized_layout.hpp"
#include "framework/model/model.hpp"
#include "framework/model/tensor_names.hpp"
#include "framework/quant/block/block_parts.hpp"
#include "framework/quant/output/folder_sink.hpp"
#include "framework/quant/output/quantized_weights.hpp"
#include "tessera/ops.h"
#include "tests/unit/framework/model/scratch_folder.hpp"

namespace tessera::quant {
namespace {

struct Case {
  const char* name;
  FolderFormat folder;
  LinearChoice choice;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

// s8 codes as SPARSE_FIXED tiles.
Result<format::WeightData> compress(format::WeightData dense) {
  const auto bytes = dense.find(TSR_PLANE_CODES)->bytes();
  const auto* codes = reinterpret_cast<const int8_t*>(bytes.data());
  TSR_ASSIGN_OR_RETURN(
      format::SparseTiles tiles,
      format::encode_sparse_fixed(dense.N, dense.K, {codes, bytes.size()}));
  return format::sparse_fixed_weight(std::move(tiles),
                                     *dense.find(TSR_PLANE_SCALE));
}

Result<format::WeightData> encode(const Model& model, const TensorSpec& spec,
                                  const LinearChoice& choice) {
  const auto N = static_cast<uint32_t>(spec.shape[0]);
  const auto K = static_cast<uint32_t>(spec.shape[1]);
  TSR_ASSIGN_OR_RETURN(const std::vector<float> values,
                       read_values(model.source, spec.name, uint64_t{N} * K));
  const bool is_sparse = choice.format == TSR_WEIGHT_SPARSE_FIXED;
  format::WeightScheme scheme;
  scheme.format = is_sparse ? uint32_t{TSR_WEIGHT_I8} : choice.format;
  scheme.group_size = choice.group_size;
  scheme.symmetric = choice.symmetric;
  if (is_sparse) scheme.scale_dtype = TSR_F16;
  TSR_ASSIGN_OR_RETURN(format::WeightData weight,
                       format::encode_weight(scheme, N, K, values));
  return is_sparse ? compress(std::move(weight)) : std::move(weight);
}

// Static scales of the inputs are no powers of two.
Status put_all(const Model& model, const LinearChoice& choice,
               QuantizedSink& sink) {
  int32_t number = 0;
  for (const TensorSpec& spec : required_tensors(model.config)) {
    if (spec.shape.size() != 2 || spec.name == kEmbeddingName) {
      TSR_RETURN_IF_ERROR(sink.keep(spec.name));
      continue;
    }
    ++number;
    TSR_ASSIGN_OR_RETURN(format::WeightData weight,
                         encode(model, spec, choice));
    if (has_static_activations(choice.act_quant)) {
      TSR_RETURN_IF_ERROR(
          add_static_scale(0.01f + 0.001f * static_cast<float>(number),
                           number % 3 == 0 ? number : 0, &weight));
    }
    TSR_RETURN_IF_ERROR(sink.put_weight(spec.name, std::move(weight), choice));
  }
  return sink.finish();
}

Result<std::vector<float>> logits_of(const ModelConfig& config,
                                     const WeightSource& source) {
  TSR_ASSIGN_OR_RETURN(Graph graph, build_graph(config, 8));
  mark_stored(source, graph);
  TSR_ASSIGN_OR_RETURN(Scheme scheme, find_scheme("f32"));
  scheme.as_stored = true;
  TSR_ASSIGN_OR_RETURN(
      const Oracle oracle,
      Oracle::create(graph, uniform_plan(graph, "cpu", scheme), source));
  return oracle.logits(std::vector<int32_t>{1, 300, 45, 77}, TSR_PREFILL);
}

class QuantizedFolder : public ::testing::TestWithParam<Case> {};

TEST_P(QuantizedFolder, GivesTheLogitsOfTheModelInMemory) {
  const auto model =
      open_model(std::string(TSR_SOURCE_DIR) + "/models/tessera-5m");
  ASSERT_TRUE(model.ok()) << model.status().message();
  const LinearChoice& choice = GetParam().choice;
  const ScratchFolder scratch;
  const std::string folder = scratch.path() + "/out";
  {
    const auto sink = FolderSink::create(GetParam().folder, model->folder,
                                         model->source, folder);
    ASSERT_TRUE(sink.ok()) << sink.status().message();
    const Status written = put_all(*model, choice, **sink);
    ASSERT_TRUE(written.ok()) << written.message();
  }
  EXPECT_EQ(std::filesystem::exists(folder + "/part0-of-1"),
            choice.format == TSR_WEIGHT_SPARSE_FIXED);
  QuantizedWeights weights;
  ASSERT_TRUE(put_all(*model, choice, weights).ok());
  const auto expected = logits_of(model->config, weights.source(model->source));
  ASSERT_TRUE(expected.ok()) << expected.status().message();

  const auto back = open_model(folder);
  ASSERT_TRUE(back.ok()) << back.status().message();
  const auto found = logits_of(back->config, back->source);
  ASSERT_TRUE(found.ok()) << found.status().message();
  EXPECT_EQ(*found, *expected);
}

// Schemes that no other test reads back from a folder.
constexpr Case kCases[] = {
    {"w8a8sc",
     FolderFormat::kMsModelSlim,
     {TSR_WEIGHT_SPARSE_FIXED, 0, true, TSR_ACT_I8_STATIC}},
    {"fp4",
     FolderFormat::kCompressedTensors,
     {TSR_WEIGHT_F4E2M1, 32, true, TSR_ACT_FLOAT}},
    {"bf16",
     FolderFormat::kCompressedTensors,
     {TSR_WEIGHT_BF16, 0, true, TSR_ACT_FLOAT}},
    {"w16a16",
     FolderFormat::kMsModelSlim,
     {TSR_WEIGHT_F16, 0, true, TSR_ACT_FLOAT}},
};

INSTANTIATE_TEST_SUITE_P(Schemes, QuantizedFolder, ::testing::ValuesIn(kCases),
                         [](const auto& param) {
                           return std::string(param.param.name);
                         });

}  // namespace
}  // namespace tessera::quant
