// SPDX-License-Identifier: Apache-2.0

#include "framework/runtime/stages/divide_linears.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace tessera {
namespace {

using Parts = std::vector<LinearPart>;

Status check_parts(const GraphWeight& weight, const Parts& parts) {
  std::set<std::string> devices;
  uint32_t row = 0;
  for (const LinearPart& part : parts) {
    if (part.n_begin != row || part.n_end <= part.n_begin ||
        part.n_end > weight.N) {
      return {
          TSR_INVALID_ARGUMENT,
          fmt::format("{}: a part with rows {} to {} of {} after row {}",
                      weight.name, part.n_begin, part.n_end, weight.N, row)};
    }
    if (!devices.insert(part.device).second) {
      return {TSR_INVALID_ARGUMENT,
              fmt::format("{}: two parts on {}", weight.name, part.device)};
    }
    row = part.n_end;
  }
  if (row == weight.N) return {};
  return {TSR_INVALID_ARGUMENT, fmt::format("{}: its parts end at row {} of {}",
                                            weight.name, row, weight.N)};
}

bool same_devices(const Parts& a, const Parts& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].device != b[i].device) return false;
  }
  return true;
}

class Divider {
 public:
  Divider(const Graph& graph, const Plan& plan)
      : graph_(graph), plan_(plan), result_{graph, plan} {
    result_.graph.ops.clear();
    result_.plan.parts.clear();
    result_.plan.ops.clear();
    if (!plan.weights.empty()) return;
    for (uint32_t i = 0; i < graph.weights.size(); ++i) {
      result_.plan.weights.push_back(plan.of_weight(graph, i));
    }
  }

  Result<DividedGraph> divide() {
    for (uint32_t i = 0; i < graph_.ops.size(); ++i) {
      const Parts* parts = parts_of(i);
      if (parts == nullptr) {
        add_op(graph_.ops[i], plan_.of_op(graph_, i));
        continue;
      }
      const uint32_t last = end_of_group(i);
      TSR_RETURN_IF_ERROR(add_group(i, last));
      i = last - 1;
    }
    return std::move(result_);
  }

 private:
  static const tsr_op_linear* linear_of(const GraphOp& op) {
    return std::get_if<tsr_op_linear>(&op.body);
  }

  // Null if op `index` is not divided.
  const Parts* parts_of(uint32_t index) const {
    const tsr_op_linear* linear = linear_of(graph_.ops[index]);
    if (linear == nullptr) return nullptr;
    const Parts& parts = plan_.parts[linear->weight];
    return parts.empty() ? nullptr : &parts;
  }

  uint32_t end_of_group(uint32_t first) const {
    const Parts& parts = *parts_of(first);
    const uint32_t x = linear_of(graph_.ops[first])->x;
    uint32_t last = first + 1;
    while (last < graph_.ops.size()) {
      const Parts* next = parts_of(last);
      if (next == nullptr || !same_devices(*next, parts) ||
          linear_of(graph_.ops[last])->x != x) {
        break;
      }
      ++last;
    }
    return last;
  }

  Status add_group(uint32_t first, uint32_t last) {
    ++num_groups_;
    const size_t num_parts = parts_of(first)->size();
    for (uint32_t i = first; i < last; ++i) {
      TSR_RETURN_IF_ERROR(check(*linear_of(graph_.ops[i])));
    }
    for (size_t part = 0; part < num_parts; ++part) {
      for (uint32_t i = first; i < last; ++i) {
        add_part(i, (*parts_of(i))[part]);
      }
    }
    return {};
  }

  Status check(const tsr_op_linear& linear) const {
    const GraphWeight& weight = graph_.weights[linear.weight];
    if (weight.is_head || linear.multiplier != TSR_NONE ||
        linear.residual != TSR_NONE || linear.n_end != 0) {
      return {TSR_UNIMPLEMENTED,
              weight.name + ": only plain linears of layers are divided"};
    }
    return check_parts(weight, plan_.parts[linear.weight]);
  }

  void add_part(uint32_t index, const LinearPart& part) {
    GraphOp op = graph_.ops[index];
    op.group = num_groups_;
    auto& linear = std::get<tsr_op_linear>(op.body);
    linear.y = part_of_tensor(linear.y, part);
    if (linear.bias != TSR_NONE) {
      linear.bias = part_of_tensor(linear.bias, part);
    }
    linear.weight = part_of_weight(linear.weight, part);
    // The parts write what the whole would: its element type.
    add_op(op, {part.device, plan_.of_op(graph_, index).scheme});
  }

  uint32_t part_of_tensor(uint32_t id, const LinearPart& part) {
    GraphTensor tensor = graph_.tensors[id];
    tensor.name += fmt::format(" {}:{}", part.n_begin, part.n_end);
    tensor.part_of = id;
    tensor.first_column = part.n_begin;
    // Heads are cut as columns are.
    tensor.dims.resize(std::min<size_t>(tensor.dims.size(), 2));
    tensor.dims.back() = {part.n_end - part.n_begin, TSR_DIM_FIXED};
    if (!tensor.values.empty()) {
      const auto begin = tensor.values.begin();
      tensor.values = {begin + part.n_begin, begin + part.n_end};
    }
    result_.graph.tensors.push_back(std::move(tensor));
    return static_cast<uint32_t>(result_.graph.tensors.size() - 1);
  }

  uint32_t part_of_weight(uint32_t id, const LinearPart& part) {
    GraphWeight weight = graph_.weights[id];
    weight.first_row = part.n_begin;
    weight.source_rows = weight.N;
    weight.N = part.n_end - part.n_begin;
    result_.graph.weights.push_back(std::move(weight));
    result_.plan.weights.push_back(plan_.of_weight(graph_, id));
    return static_cast<uint32_t>(result_.graph.weights.size() - 1);
  }

  void add_op(const GraphOp& op, const LayerPlan& where) {
    result_.graph.ops.push_back(op);
    result_.plan.ops.push_back(where);
  }

  const Graph& graph_;
  const Plan& plan_;
  DividedGraph result_;
  uint32_t num_groups_ = 0;
};

}  // namespace

Result<DividedGraph> divide_linears(const Graph& graph, const Plan& plan) {
  if (plan.parts.size() != graph.weights.size()) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("the plan divides {} weights, the graph has {}",
                              plan.parts.size(), graph.weights.size()));
  }
  return Divider(graph, plan).divide();
}

}  // namespace tessera
