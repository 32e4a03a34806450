// SPDX-License-Identifier: Apache-2.0
//
// Rows from YAML.

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>

#include "backends/npu_sim/profile/nearest_name.hpp"
#include "backends/npu_sim/validation/validate.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr size_t kMostRows = 10000;

// A mapping whose every key must be asked for.
class Fields {
 public:
  Fields(const YAML::Node& node, std::string where)
      : node_(node), where_(std::move(where)) {
    if (!node_.IsMap()) refuse("expected a mapping");
  }

  [[noreturn]] void refuse(const std::string& why) const {
    throw sdk::Error(TSR_INVALID_ARGUMENT, where_ + ": " + why);
  }
  YAML::Node find(const std::string& key) {
    known_.push_back(key);
    return node_[key];
  }
  template <typename Value>
  void read(const std::string& key, Value& out) {
    const YAML::Node value = find(key);
    if (!value) return;
    if (!YAML::convert<Value>::decode(value, out)) {
      refuse(key + ": '" + (value.IsScalar() ? value.Scalar() : "...") +
             "' is of another type");
    }
  }
  template <typename Value>
  void need(const std::string& key, Value& out) {
    if (!node_[key]) refuse("missing '" + key + "'");
    read(key, out);
  }
  std::vector<int64_t> integers(const std::string& key) {
    std::vector<int64_t> values;
    const YAML::Node list = find(key);
    if (!list || !list.IsSequence()) refuse(key + ": expected a list");
    for (const auto& item : list) {
      int64_t value = 0;
      if (!YAML::convert<int64_t>::decode(item, value)) {
        refuse(key + ": expected whole numbers");
      }
      values.push_back(value);
    }
    return values;
  }
  // Errors  INVALID_ARGUMENT if a key was never asked for.
  void done() const {
    for (const auto& part : node_) {
      const std::string key = part.first.Scalar();
      if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
        refuse("unknown '" + key + "'; the nearest is '" +
               nearest_name(key, known_) + "'");
      }
    }
  }

 private:
  YAML::Node node_;
  std::string where_;
  std::vector<std::string> known_;
};

Type type_of(Fields& fields, const std::string& key, Type otherwise) {
  constexpr std::array<Type, 7> kTypes = {Type::kF16, Type::kBf16, Type::kF32,
                                          Type::kS8,  Type::kS4,   Type::kS32,
                                          Type::kF8};
  std::string name = name_of(otherwise);
  fields.read(key, name);
  for (const Type type : kTypes) {
    if (name == name_of(type)) return type;
  }
  fields.refuse(key + ": unknown type '" + name + "'");
}

Gemm read_gemm(Fields& fields, bool is_grouped, SimulateOptions& options) {
  Gemm gemm;
  if (!is_grouped) fields.need("M", gemm.M);
  fields.need("N", gemm.N);
  fields.need("K", gemm.K);
  std::string scheme = "w16a16";
  fields.read("scheme", scheme);
  gemm.scheme = scheme_of(scheme);
  gemm.out = type_of(fields, "out", Type::kF16);
  bool is_nz = false;
  bool is_kn = false;
  fields.read("nz", is_nz);
  fields.read("kn", is_kn);
  fields.read("transpose_a", gemm.transpose_a);
  gemm.layout = is_nz ? WeightLayout::kNz : WeightLayout::kNd;
  gemm.weight_is_nk = !is_kn;
  fields.read("group_size", gemm.group_size);
  fields.read("compression", gemm.compression);
  fields.read("cores", gemm.cores);
  fields.read("tile_m", options.tiling.tile_m);
  fields.read("tile_n", options.tiling.tile_n);
  fields.read("tile_k", options.tiling.tile_k);
  fields.read("packet_k", options.tiling.packet_k);
  fields.read("split_k", options.tiling.split_k);
  fields.read("swizzle", options.tiling.swizzle);
  fields.read("wide_n", options.tiling.wide_n);
  return gemm;
}

VectorOp read_vector(Fields& fields) {
  VectorOp op;
  fields.need("rows", op.rows);
  fields.need("columns", op.columns);
  fields.read("inputs", op.num_inputs);
  fields.read("bank_conflicts", op.bank_conflicts);
  fields.read("cores", op.cores);
  op.type = type_of(fields, "type", Type::kF16);
  return op;
}

Copy read_copy(Fields& fields) {
  Copy copy;
  fields.need("rows", copy.rows);
  fields.need("columns", copy.columns);
  fields.read("tile_rows", copy.tile_rows);
  fields.read("tile_columns", copy.tile_columns);
  fields.read("nd_to_nz", copy.nd_to_nz);
  fields.read("repeats", copy.repeats);
  fields.read("cores", copy.cores);
  bool to_l1 = false;
  fields.read("to_l1", to_l1);
  copy.target = to_l1 ? CopyTarget::kL1 : CopyTarget::kUb;
  copy.type = type_of(fields, "type", Type::kF16);
  return copy;
}

Attention read_attention(Fields& fields) {
  Attention attention;
  attention.q_lens = fields.integers("q_lens");
  attention.seq_lens = fields.integers("seq_lens");
  fields.need("heads", attention.num_q_heads);
  fields.need("kv_heads", attention.num_kv_heads);
  fields.need("qk_dim", attention.qk_dim);
  attention.v_dim = attention.qk_dim;
  fields.read("v_dim", attention.v_dim);
  fields.read("v_in_k", attention.v_in_k);
  fields.read("causal", attention.causal);
  fields.read("window", attention.window);
  fields.read("block_size", attention.block_size);
  fields.read("cores", attention.cores);
  std::string kv = "f16";
  fields.read("kv", kv);
  constexpr std::array<const char*, 4> kKinds = {"f16", "bf16", "s8", "fa3"};
  const auto* const found = std::find(kKinds.begin(), kKinds.end(), kv);
  if (found == kKinds.end())
    fields.refuse("kv: '" + kv + "' is not one of f16 bf16 s8 fa3");
  attention.kv = static_cast<KvType>(found - kKinds.begin());
  return attention;
}

void read_instruction(Fields& fields, Experiment& experiment) {
  fields.need("m", experiment.m);
  fields.need("n", experiment.n);
  fields.need("k", experiment.k);
  for (const int64_t side : {experiment.m, experiment.n, experiment.k}) {
    if (side < 1 || side > 65536) fields.refuse("sides are 1 to 65536");
  }
  fields.read("pipelined", experiment.pipelined);
}

void read_step(Fields& fields, Experiment& experiment) {
  experiment.kind = Experiment::Kind::kStep;
  ModelStep& step = experiment.step;
  std::string scheme = "w16a16";
  fields.need("model", step.model);
  fields.read("scheme", scheme);
  step.scheme = scheme_of(scheme);
  fields.read("compression", step.compression);
  fields.need("cached", step.cached);
  fields.read("tokens", step.tokens);
}

Experiment read_experiment(const YAML::Node& node, const std::string& where) {
  Fields fields(node, where);
  Experiment experiment;
  std::string op;
  fields.need("op", op);
  if (op == "gemm") {
    experiment.problem = read_gemm(fields, false, experiment.options);
  } else if (op == "grouped_gemm") {
    GroupedGemm grouped;
    grouped.rows = fields.integers("rows");
    grouped.each = read_gemm(fields, true, experiment.options);
    experiment.problem = grouped;
  } else if (op == "vector") {
    experiment.problem = read_vector(fields);
  } else if (op == "copy") {
    experiment.problem = read_copy(fields);
  } else if (op == "attention") {
    experiment.problem = read_attention(fields);
  } else if (op == "mmad" || op == "load_pair") {
    experiment.kind =
        op == "mmad" ? Experiment::Kind::kMmad : Experiment::Kind::kLoadPair;
    read_instruction(fields, experiment);
  } else if (op == "step") {
    read_step(fields, experiment);
  } else {
    fields.refuse("op '" + op +
                  "' is not one of gemm grouped_gemm vector copy attention "
                  "mmad load_pair step");
  }
  fields.done();
  return experiment;
}

void read_target(Fields& fields, ValidationRow& row) {
  const YAML::Node target = fields.find("target");
  const auto number = [&](const YAML::Node& node, double& out) {
    if (!node || !YAML::convert<double>::decode(node, out) || !(out > 0)) {
      fields.refuse("target: expected a number above 0, or [low, high]");
    }
  };
  if (target && target.IsSequence() && target.size() == 2) {
    number(target[0], row.low);
    number(target[1], row.high);
  } else {
    number(target, row.low);
    row.high = row.low;
  }
  if (row.low > row.high) fields.refuse("target: low is above high");
}

ValidationRow read_row(const YAML::Node& node, const std::string& where) {
  Fields fields(node, where);
  ValidationRow row;
  fields.need("id", row.id);
  fields.need("kind", row.kind);
  fields.need("what", row.what);
  fields.need("profile", row.profile);
  fields.need("metric", row.metric);
  fields.need("tolerance", row.tolerance);
  fields.read("source", row.source);
  read_target(fields, row);
  const std::string place = where + " (" + row.id + ")";
  row.experiment = read_experiment(fields.find("problem"), place + " problem");
  if (const YAML::Node over = fields.find("over")) {
    row.over = read_experiment(over, place + " over");
  }
  fields.read("without", row.without);
  fields.done();
  return row;
}

}  // namespace

std::vector<ValidationRow> parse_rows(std::string_view text,
                                      const std::string& origin) {
  YAML::Node root;
  try {
    root = YAML::Load(std::string(text));
  } catch (const YAML::Exception& error) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     origin + ": not YAML: " + error.what());
  }
  if (!root.IsSequence() || root.size() > kMostRows) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     origin + ": expected a list of rows");
  }
  std::vector<ValidationRow> rows;
  for (size_t i = 0; i < root.size(); ++i) {
    rows.push_back(
        read_row(root[i], origin + ": row " + std::to_string(i + 1)));
  }
  return rows;
}

}  // namespace tessera::npu
