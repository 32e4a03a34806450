// SPDX-License-Identifier: Apache-2.0
//
// A W8A8SC folder runs as the compressed model in memory does, to the last bit.

#include <gtest/gtest.h>

#include <filesystem>

#include "framework/eval/oracle.hpp"
#include "framework/format/encode.hpp"
#include "framework/format/sparse_tile.hpp"
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

// s8 codes as SPARSE_FIXED tiles, with scales of the inputs that are no powers
// of two.
Result<format::WeightData> compress(const Model& model, const TensorSpec& spec,
                                    float input_scale, int32_t zero_point) {
  const auto N = static_cast<uint32_t>(spec.shape[0]);
  const auto K = static_cast<uint32_t>(spec.shape[1]);
  TSR_ASSIGN_OR_RETURN(const std::vector<float> values,
                       read_values(model.source, spec.name, uint64_t{N} * K));
  format::WeightScheme scheme;
  scheme.format = TSR_WEIGHT_I8;
  scheme.scale_dtype = TSR_F16;
  TSR_ASSIGN_OR_RETURN(format::WeightData dense,
                       format::encode_weight(scheme, N, K, values));
  const auto bytes = dense.find(TSR_PLANE_CODES)->bytes();
  const auto* codes = reinterpret_cast<const int8_t*>(bytes.data());
  TSR_ASSIGN_OR_RETURN(
      format::SparseTiles tiles,
      format::encode_sparse_fixed(N, K, {codes, bytes.size()}));
  TSR_ASSIGN_OR_RETURN(format::WeightData weight,
                       format::sparse_fixed_weight(
                           std::move(tiles), *dense.find(TSR_PLANE_SCALE)));
  TSR_RETURN_IF_ERROR(add_static_scale(input_scale, zero_point, &weight));
  return weight;
}

Status put_all(const Model& model, QuantizedSink& sink) {
  int32_t number = 0;
  for (const TensorSpec& spec : required_tensors(model.config)) {
    if (spec.shape.size() != 2 || spec.name == kEmbeddingName) {
      TSR_RETURN_IF_ERROR(sink.keep(spec.name));
      continue;
    }
    ++number;
    TSR_ASSIGN_OR_RETURN(
        format::WeightData weight,
        compress(model, spec, 0.01f + 0.001f * static_cast<float>(number),
                 number % 3 == 0 ? number : 0));
    TSR_RETURN_IF_ERROR(
        sink.put_weight(spec.name, std::move(weight),
                        {TSR_WEIGHT_SPARSE_FIXED, 0, true, TSR_ACT_I8_STATIC}));
  }
  return sink.finish();
}

Result<std::vector<float>> logits_of(const ModelConfig& config,
                                     const WeightSource& source) {
  TSR_ASSIGN_OR_RETURN(Graph graph, build_graph(config, 8));
  mark_stored(source, graph);
  TSR_ASSIGN_OR_RETURN(Scheme scheme, find_scheme("f32"));
  scheme.as_stored = true;
  TSR_ASSIGN_OR_RETURN(const Oracle oracle,
                       Oracle::create(graph, uniform_plan(graph, "cpu", scheme),
                                      source, reference::SumOrder::kDouble));
  return oracle.logits(std::vector<int32_t>{1, 300, 45, 77}, TSR_PREFILL);
}

TEST(CompressedFolder, GivesTheLogitsOfTheModelInMemory) {
  const auto model =
      open_model(std::string(TSR_SOURCE_DIR) + "/models/tessera-5m");
  ASSERT_TRUE(model.ok()) << model.status().message();
  const ScratchFolder scratch;
  const std::string folder = scratch.path() + "/out";
  {
    const auto sink = FolderSink::create(FolderFormat::kMsModelSlim,
                                         model->folder, model->source, folder);
    ASSERT_TRUE(sink.ok()) << sink.status().message();
    const Status written = put_all(*model, **sink);
    ASSERT_TRUE(written.ok()) << written.message();
  }
  EXPECT_TRUE(std::filesystem::exists(folder + "/part0-of-1"));
  QuantizedWeights weights;
  ASSERT_TRUE(put_all(*model, weights).ok());
  const auto expected = logits_of(model->config, weights.source(model->source));
  ASSERT_TRUE(expected.ok()) << expected.status().message();

  const auto back = open_model(folder);
  ASSERT_TRUE(back.ok()) << back.status().message();
  const auto found = logits_of(back->config, back->source);
  ASSERT_TRUE(found.ok()) << found.status().message();
  EXPECT_EQ(*found, *expected);
}

}  // namespace
}  // namespace tessera::quant
