// SPDX-License-Identifier: Apache-2.0

#include "framework/eval/oracle.hpp"

#include <algorithm>
#include <utility>

#include "framework/eval/oracle_pass.hpp"
#include "framework/format/element.hpp"
#include "framework/runtime/lowering.hpp"
#include "framework/runtime/weight_loader.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera {

struct Oracle::State {
  OraclePassModel model() const {
    return {graph, plan, numerics, weights, constants};
  }

  Graph graph;
  Plan plan;
  OracleNumerics numerics;
  std::vector<std::unique_ptr<format::WeightData>> weight_data;
  std::vector<reference::Weight> weights;
  std::vector<std::vector<float>> constants;  // by graph tensor
};

namespace {

Result<std::vector<float>> read_constant(const GraphTensor& tensor,
                                         const WeightSource& source) {
  if (tensor.source.empty()) return tensor.values;
  TSR_ASSIGN_OR_RETURN(const SourceTensor found, source.tensor(tensor.source));
  std::vector<float> values(found.bytes.size() /
                            std::max<size_t>(dtype_bytes(found.dtype, 1), 1));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(
        format::element_value(found.dtype, found.bytes.data(), i));
  }
  return values;
}

}  // namespace

Oracle::Oracle(std::unique_ptr<State> state) : state_(std::move(state)) {}
Oracle::Oracle(Oracle&&) noexcept = default;
Oracle& Oracle::operator=(Oracle&&) noexcept = default;
Oracle::~Oracle() = default;

Result<Oracle> Oracle::create(const Graph& graph, const Plan& plan,
                              const WeightSource& source,
                              const OracleNumerics& numerics) {
  auto state = std::make_unique<State>();
  state->graph = graph;
  state->plan = plan;
  state->numerics = numerics;
  TSR_RETURN_IF_ERROR(bind_attention_scales(plan, state->graph));
  for (uint32_t i = 0; i < graph.weights.size(); ++i) {
    const GraphWeight& weight = graph.weights[i];
    const LinearChoice choice = choose_linear(weight, plan.of_weight(graph, i));
    TSR_ASSIGN_OR_RETURN(
        format::WeightData data,
        read_weight(weight, choice, source).annotate(weight.name));
    state->weight_data.push_back(
        std::make_unique<format::WeightData>(std::move(data)));
    TSR_ASSIGN_OR_RETURN(reference::Weight opened,
                         reference::Weight::open(*state->weight_data.back()));
    state->weights.push_back(std::move(opened));
  }
  state->constants.resize(state->graph.tensors.size());
  for (size_t i = 0; i < state->graph.tensors.size(); ++i) {
    if (!state->graph.tensors[i].constant) continue;
    TSR_ASSIGN_OR_RETURN(state->constants[i],
                         read_constant(state->graph.tensors[i], source));
  }
  return Oracle(std::move(state));
}

Result<std::vector<float>> Oracle::logits(std::span<const int32_t> tokens,
                                          uint32_t phase) const {
  if (tokens.empty()) {
    return Status(TSR_INVALID_ARGUMENT, "oracle: the text is empty");
  }
  OraclePass pass(state_->model(), tokens, phase);
  TSR_RETURN_IF_ERROR(pass.run().annotate("oracle"));
  return pass.take(state_->graph.logits);
}

Result<OracleTrace> Oracle::trace(std::span<const int32_t> tokens,
                                  uint32_t phase) const {
  if (tokens.empty()) {
    return Status(TSR_INVALID_ARGUMENT, "oracle: the text is empty");
  }
  OraclePass pass(state_->model(), tokens, phase);
  pass.watch();
  TSR_RETURN_IF_ERROR(pass.run().annotate("oracle"));
  return pass.take_trace();
}

}  // namespace tessera
