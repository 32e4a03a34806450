// SPDX-License-Identifier: Apache-2.0

#include "framework/runtime/lowering.hpp"

#include <algorithm>

namespace tessera {
namespace {

// Index of `id` in `list`, appended if new.
uint32_t index_in(std::vector<uint32_t>& list, uint32_t id) {
  const auto found = std::find(list.begin(), list.end(), id);
  if (found != list.end()) {
    return static_cast<uint32_t>(found - list.begin());
  }
  list.push_back(id);
  return static_cast<uint32_t>(list.size() - 1);
}

// Where each graph tensor stands as seen from ops first .. last - 1.
std::vector<Place> find_places(const Graph& graph, const OpRange& range) {
  std::vector<Place> places(graph.tensors.size(), Place::kUnused);
  std::vector<bool> written(graph.tensors.size());
  const auto place_read = [&](uint32_t id) {
    const GraphTensor& tensor = graph.tensors[id];
    if (tensor.constant) {
      places[id] = Place::kConstant;
    } else if (tensor.role != TSR_ROLE_VALUE) {
      places[id] = Place::kStep;
    } else if (!written[id]) {
      places[id] = Place::kInput;
    }
  };
  for (uint32_t i = range.first; i < range.last; ++i) {
    const OpTensors ids = op_tensors(graph.ops[i].body);
    for (const uint32_t id : ids.reads) place_read(id);
    for (const uint32_t id : ids.writes) {
      written[id] = true;
      const bool leads_out =
          id == graph.logits || graph.tensors[id].part_of != TSR_NONE;
      places[id] = leads_out ? Place::kOutput : Place::kTransient;
    }
  }
  for (uint32_t i = range.last; i < graph.ops.size(); ++i) {
    for (const uint32_t id : op_tensors(graph.ops[i].body).reads) {
      if (written[id]) places[id] = Place::kOutput;
    }
  }
  for (const uint32_t id : range.observed) {
    if (written[id]) places[id] = Place::kOutput;
  }
  return places;
}

// The plan entry of the op that writes each tensor.
std::vector<const LayerPlan*> find_writers(const Graph& graph,
                                           const Plan& plan) {
  std::vector<const LayerPlan*> writers(graph.tensors.size(), &plan.before);
  for (uint32_t i = 0; i < graph.ops.size(); ++i) {
    for (const uint32_t id : op_tensors(graph.ops[i].body).writes) {
      writers[id] = &plan.of_op(graph, i);
      const uint32_t whole = graph.tensors[id].part_of;
      if (whole != TSR_NONE) writers[whole] = writers[id];
    }
  }
  return writers;
}

uint32_t place_flags(Place place) {
  if (place == Place::kTransient) return TSR_TENSOR_TRANSIENT;
  if (place == Place::kConstant) return TSR_TENSOR_CONSTANT;
  return 0;
}

tsr_tensor to_program_tensor(const GraphTensor& tensor, uint32_t dtype,
                             Place place, const StepLimits& limits) {
  tsr_tensor result{};
  result.struct_size = sizeof(result);
  result.dtype = dtype;
  result.role = tensor.role;
  result.flags = place_flags(place);
  result.view_of = TSR_NONE;
  const std::vector<tsr_dim> dims = with_maxima(tensor, limits);
  result.rank = static_cast<uint32_t>(dims.size());
  std::copy(dims.begin(), dims.end(), result.dims);
  return result;
}

// Renumbers weight and KV indices, and sets what the scheme decides.
void apply_plan(const Graph& graph, const Plan& plan, Lowered& lowered,
                GraphOpBody& body) {
  if (auto* linear = std::get_if<tsr_op_linear>(&body)) {
    const GraphWeight& weight = graph.weights[linear->weight];
    linear->act_quant =
        choose_linear(weight, plan.of_weight(graph, linear->weight)).act_quant;
    linear->weight = index_in(lowered.weights, linear->weight);
  } else if (auto* attention = std::get_if<tsr_op_attention>(&body)) {
    attention->kv = index_in(lowered.kv, attention->kv);
  } else if (auto* append = std::get_if<tsr_op_kv_append>(&body)) {
    append->kv = index_in(lowered.kv, append->kv);
  }
}

uint32_t float_format(uint32_t stored, const StoredFloats& formats) {
  switch (stored) {
    case TSR_WEIGHT_F16:
      return formats.f16;
    case TSR_WEIGHT_BF16:
      return formats.bf16;
    default:
      return formats.f32;
  }
}

}  // namespace

std::vector<OpRange> split_by_device(const Graph& graph, const Plan& plan) {
  std::vector<OpRange> ranges;
  for (uint32_t i = 0; i < graph.ops.size(); ++i) {
    const std::string& device = plan.of_op(graph, i).device;
    const uint32_t group = graph.ops[i].group;
    if (ranges.empty() || ranges.back().device != device ||
        ranges.back().group != group) {
      ranges.push_back({i, i, device, {}, group});
    }
    ranges.back().last = i + 1;
  }
  return ranges;
}

uint32_t value_dtype(const GraphTensor& tensor, const LayerPlan& writer) {
  switch (tensor.precision) {
    case Precision::kIndex:
      return TSR_I32;
    case Precision::kActivation:
      return writer.scheme.act_dtype;
    case Precision::kF32:
    case Precision::kSource:
      break;
  }
  return TSR_F32;
}

uint32_t constant_dtype(const GraphTensor& tensor, uint32_t source_dtype) {
  if (tensor.precision == Precision::kIndex) return TSR_I32;
  if (tensor.precision != Precision::kSource || tensor.dims.size() < 2) {
    return TSR_F32;
  }
  return source_dtype;
}

LinearChoice choose_linear(const GraphWeight& weight, const Scheme& scheme) {
  if (scheme.as_stored && weight.stored) return *weight.stored;
  // What a quantized file keeps in floats was meant to stay so.
  if (scheme.as_stored && weight.stored_float != 0) {
    return {float_format(weight.stored_float, scheme.stored_floats), 0, true,
            TSR_ACT_FLOAT};
  }
  if (weight.is_head || scheme.as_stored) {
    return {scheme.head_format, 0, true, TSR_ACT_FLOAT};
  }
  return {scheme.weight_format, scheme.group_size, scheme.symmetric,
          scheme.act_quant};
}

uint32_t choose_kv_format(const GraphKv& kv, const Scheme& scheme) {
  return scheme.kv_as_stored && kv.stored ? kv.stored->kv_format
                                          : scheme.kv_format;
}

Status bind_attention_scales(const Plan& plan, Graph& graph) {
  std::vector<uint32_t> formats;
  for (size_t i = 0; i < graph.kv.size(); ++i) {
    formats.push_back(choose_kv_format(graph.kv[i], plan.layers[i].scheme));
  }
  return bind_attention_scales(formats, graph);
}

std::vector<tsr_dim> with_maxima(const GraphTensor& tensor,
                                 const StepLimits& limits) {
  std::vector<tsr_dim> dims = tensor.dims;
  for (tsr_dim& dim : dims) {
    if (dim.symbol == TSR_DIM_TOKENS) dim.max = limits.max_tokens;
    if (dim.symbol == TSR_DIM_SEQS) dim.max = limits.max_seqs;
    if (dim.symbol == TSR_DIM_SEQS_PLUS_ONE) dim.max = limits.max_seqs + 1;
    if (dim.symbol == TSR_DIM_OUTPUTS) dim.max = limits.max_outputs;
  }
  if (tensor.role == TSR_ROLE_BLOCK_TABLE) {
    dims.back().max = limits.max_blocks_per_seq;
  }
  return dims;
}

Lowered lower(const Graph& graph, const Plan& plan, const OpRange& range,
              const StepLimits& limits,
              const std::function<uint32_t(const GraphTensor&)>& source_dtype) {
  Lowered lowered;
  lowered.places = find_places(graph, range);
  lowered.program_id.assign(graph.tensors.size(), TSR_NONE);
  const std::vector<const LayerPlan*> writers = find_writers(graph, plan);
  for (uint32_t id = 0; id < graph.tensors.size(); ++id) {
    const Place place = lowered.places[id];
    if (place == Place::kUnused) continue;
    const GraphTensor& tensor = graph.tensors[id];
    const uint32_t dtype = place == Place::kConstant
                               ? constant_dtype(tensor, source_dtype(tensor))
                               : value_dtype(tensor, *writers[id]);
    lowered.program_id[id] = static_cast<uint32_t>(lowered.tensors.size());
    lowered.tensors.push_back(to_program_tensor(tensor, dtype, place, limits));
  }
  for (uint32_t i = range.first; i < range.last; ++i) {
    GraphOpBody body = graph.ops[i].body;
    apply_plan(graph, plan, lowered, body);
    remap_tensors(body, lowered.program_id);
    lowered.ops.push_back(body);
  }
  return lowered;
}

}  // namespace tessera
