// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/questions/request.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "backends/npu_sim/profile/nearest_name.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

using Json = nlohmann::ordered_json;

// Larger sizes are a mistake, and could overflow products of three.
constexpr int64_t kMaxSize = int64_t{1} << 20;

[[noreturn]] void refuse(const std::string& why) {
  throw sdk::Error(TSR_INVALID_ARGUMENT, "simulator: " + why);
}

// Reads keys, and knows in the end which were not asked for.
class Reader {
 public:
  explicit Reader(const Json& json) : json_(json) {
    if (!json.is_object()) refuse("the request is not an object");
  }

  bool has(const std::string& key) {
    known_.insert(key);
    return json_.contains(key);
  }
  int64_t size(const std::string& key) {
    if (!has(key)) refuse(key + " is missing");
    return number(key, json_.at(key), 1);
  }
  int64_t size(const std::string& key, int64_t missing) {
    return has(key) ? number(key, json_.at(key), 0) : missing;
  }
  bool flag(const std::string& key, bool missing) {
    if (!has(key)) return missing;
    if (!json_.at(key).is_boolean()) refuse(key + " is not true or false");
    return json_.at(key).get<bool>();
  }
  double share(const std::string& key, double missing) {
    if (!has(key)) return missing;
    const Json& value = json_.at(key);
    const double number = value.is_number() ? value.get<double>() : 0.0;
    if (!(number > 0.0) || number > 2.0) {
      refuse(key + " " + value.dump() + " is not a number above 0");
    }
    return number;
  }
  std::string text(const std::string& key, const std::string& missing) {
    if (!has(key)) return missing;
    if (!json_.at(key).is_string()) refuse(key + " is not text");
    return json_.at(key).get<std::string>();
  }
  // One of `choices`.
  size_t choice(const std::string& key, const std::string& missing,
                const std::vector<std::string>& choices) {
    const std::string value = text(key, missing);
    std::string all;
    for (size_t i = 0; i < choices.size(); ++i) {
      if (choices[i] == value) return i;
      all += (i == 0 ? "" : ", ") + choices[i];
    }
    refuse(key + " " + value + " is not one of " + all);
  }
  std::vector<int64_t> sizes(const std::string& key, int64_t least = 1) {
    if (!has(key)) refuse(key + " is missing");
    const Json& value = json_.at(key);
    if (!value.is_array() || value.empty() || value.size() > 65536) {
      refuse(key + " is not a list of sizes");
    }
    std::vector<int64_t> list;
    for (const Json& item : value) list.push_back(number(key, item, least));
    return list;
  }

  void finish() const {
    for (const auto& item : json_.items()) {
      if (known_.count(item.key()) != 0) continue;
      const std::vector<std::string> known(known_.begin(), known_.end());
      refuse("key " + item.key() + " is unknown; the nearest is " +
             nearest_name(item.key(), known));
    }
  }

 private:
  static int64_t number(const std::string& key, const Json& value,
                        int64_t least) {
    const bool whole =
        value.is_number_integer() && value.get<double>() <= kMaxSize;
    const int64_t number = whole ? value.get<int64_t>() : -1;
    if (number < least) {
      refuse(key + " " + value.dump() + " is not a whole number from " +
             std::to_string(least) + " to " + std::to_string(kMaxSize));
    }
    return number;
  }

  const Json& json_;
  std::set<std::string> known_;
};

Type read_type(Reader& reader, const std::string& key,
               const std::string& missing) {
  constexpr Type kTypes[] = {Type::kF16, Type::kBf16, Type::kF32,
                             Type::kS8,  Type::kS4,   Type::kS32};
  return kTypes[reader.choice(key, missing,
                              {"f16", "bf16", "f32", "s8", "s4", "s32"})];
}

Gemm read_gemm(Reader& reader, SimulateOptions& options) {
  Gemm gemm;
  gemm.N = reader.size("N");
  gemm.K = reader.size("K");
  gemm.scheme = scheme_of(reader.text("scheme", "w16a16"));
  gemm.out = read_type(reader, "out", "f16");
  gemm.transpose_a = reader.flag("transpose_a", false);
  gemm.weight_is_nk = reader.flag("transpose_b", true);
  gemm.layout = reader.choice("weights", "nz", {"nd", "nz"}) == 0
                    ? WeightLayout::kNd
                    : WeightLayout::kNz;
  gemm.group_size = reader.size("group_size", 0);
  gemm.compression = reader.share("compression", 1.0);
  options.tiling.tile_m = reader.size("tile_m", 0);
  options.tiling.tile_n = reader.size("tile_n", 0);
  options.tiling.tile_k = reader.size("tile_k", 0);
  options.tiling.packet_k = reader.size("packet_k", 0);
  options.tiling.split_k = reader.size("split_k", 0);
  options.tiling.swizzle = reader.size("swizzle", 0);
  options.tiling.wide_n = reader.size("wide_n", 0);
  options.double_buffer = reader.flag("double_buffer", true);
  return gemm;
}

VectorOp read_add(Reader& reader) {
  VectorOp op;
  op.rows = reader.size("rows");
  op.columns = reader.size("columns");
  op.type = read_type(reader, "type", "f16");
  op.bank_conflicts = reader.flag("bank_conflicts", false);
  return op;
}

Copy read_copy(Reader& reader) {
  Copy copy;
  copy.rows = reader.size("rows");
  copy.columns = reader.size("columns");
  copy.tile_rows = reader.size("tile_rows", 0);
  copy.tile_columns = reader.size("tile_columns", 0);
  copy.type = read_type(reader, "type", "f16");
  copy.target = reader.choice("target", "ub", {"ub", "l1"}) == 0
                    ? CopyTarget::kUb
                    : CopyTarget::kL1;
  copy.nd_to_nz = reader.flag("nd_to_nz", false);
  copy.repeats = reader.size("repeats", 1);
  return copy;
}

SmallOp read_small(Reader& reader, SmallKind kind) {
  SmallOp op;
  op.kind = kind;
  op.rows = reader.size("rows");
  op.columns = reader.size("columns");
  op.type = op.out = read_type(reader, "type", "f16");
  if (kind == SmallKind::kRope) op.head_dim = reader.size("head_dim", 0);
  return op;
}

Attention read_attention(Reader& reader) {
  constexpr KvType kKvTypes[] = {KvType::kF16, KvType::kBf16, KvType::kS8,
                                 KvType::kFa3};
  Attention attention;
  attention.q_lens = reader.sizes("q_lens");
  attention.seq_lens = reader.sizes("seq_lens");
  if (attention.q_lens.size() != attention.seq_lens.size()) {
    refuse("q_lens has " + std::to_string(attention.q_lens.size()) +
           " entries, seq_lens " + std::to_string(attention.seq_lens.size()));
  }
  attention.num_q_heads = reader.size("heads");
  attention.num_kv_heads = reader.size("kv_heads", attention.num_q_heads);
  attention.qk_dim = reader.size("head_dim");
  attention.v_dim = reader.size("v_dim", attention.qk_dim);
  attention.v_in_k = reader.flag("v_in_k", false);
  attention.causal = reader.flag("causal", true);
  attention.window = reader.size("window", 0);
  attention.block_size = reader.size("block_size", 128);
  attention.kv =
      kKvTypes[reader.choice("kv", "f16", {"f16", "bf16", "int8", "fa3"})];
  return attention;
}

// A row op of the model by its name; a bare add is a VectorOp.
SmallKind small_kind_of(const std::string& name) {
  int64_t kind = 0;
  while (name != name_of(static_cast<SmallKind>(kind))) ++kind;
  return static_cast<SmallKind>(kind);
}

const std::vector<std::string>& known_ops() {
  static const std::vector<std::string> ops = [] {
    std::vector<std::string> names = {"linear", "grouped_linear", "add", "copy",
                                      "attention"};
    for (int64_t kind = 0; kind < kNumSmallKinds; ++kind) {
      const auto small = static_cast<SmallKind>(kind);
      if (small != SmallKind::kAdd) names.emplace_back(name_of(small));
    }
    return names;
  }();
  return ops;
}

Problem read_problem(Reader& reader, SimulateOptions& options) {
  const int64_t cores = reader.size("cores", 0);
  const auto with_cores = [cores](auto problem) {
    problem.cores = cores;
    return problem;
  };
  const size_t op = reader.choice("op", "", known_ops());
  switch (op) {
    case 0: {
      Gemm gemm = read_gemm(reader, options);
      gemm.M = reader.size("M");
      return with_cores(gemm);
    }
    case 1: {
      GroupedGemm grouped;
      grouped.each = with_cores(read_gemm(reader, options));
      grouped.rows = reader.sizes("rows", 0);
      return grouped;
    }
    case 2:
      return with_cores(read_add(reader));
    case 3:
      return with_cores(read_copy(reader));
    case 4:
      return with_cores(read_attention(reader));
    default:
      return with_cores(read_small(reader, small_kind_of(known_ops()[op])));
  }
}

}  // namespace

Request read_request(const Json& json) {
  Reader reader(json);
  Request request;
  request.problem = read_problem(reader, request.options);
  for (const char* kind : {"trace", "csv", "svg", "listing"}) {
    const std::string path = reader.text(kind, "");
    if (!path.empty()) request.files[kind] = path;
  }
  reader.finish();
  return request;
}

}  // namespace tessera::npu
