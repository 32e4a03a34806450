// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/op_question.hpp"

#include <fmt/format.h>

#include <charconv>

#include "framework/format/scheme.hpp"
#include "tessera/ops.h"

namespace tessera::bench {
namespace {

using Json = nlohmann::ordered_json;

// That of one launch: of a mix, whose activations are static in decode and
// dynamic in prefill, the one that is so in both.
std::string scheme_of_launch(const OpQuestion& q) {
  const Result<Scheme> asked = find_scheme(q.scheme);
  // A name of the device's own, or one that it refuses.
  if (!asked.ok() || asked->act_quant != TSR_ACT_I8_MIX) return q.scheme;
  const bool is_decode =
      q.op == "linear" && q.shape.at(0) <= int64_t{kMaxDecodeRows};
  const uint32_t activations =
      is_decode ? TSR_ACT_I8_STATIC : TSR_ACT_I8_DYNAMIC;
  for (const std::string& name : scheme_names()) {
    const Result<Scheme> one = find_scheme(name);
    if (one.ok() && one->act_quant == activations &&
        one->weight_format == asked->weight_format) {
      return name;
    }
  }
  return q.scheme;
}

void add_linear(const OpQuestion& q, Json& json) {
  json["scheme"] = scheme_of_launch(q);
  if (!q.type.empty()) json["out"] = q.type;
  if (q.op == "linear") {
    json["M"] = q.shape.at(0);
  } else {
    json["rows"] = q.rows;
  }
  json["N"] = q.shape.at(q.shape.size() - 2);
  json["K"] = q.shape.at(q.shape.size() - 1);
  if (!q.weights.empty()) json["weights"] = q.weights;
  json["transpose_a"] = q.transpose_a;
  json["transpose_b"] = !q.weight_is_kn;
  if (q.group_size > 0) json["group_size"] = q.group_size;
  if (q.compression > 0) json["compression"] = q.compression;
  if (q.tile.size() == 3) {
    json["tile_m"] = q.tile[0];
    json["tile_n"] = q.tile[1];
    json["tile_k"] = q.tile[2];
  }
}

void add_rows(const OpQuestion& q, Json& json) {
  json["rows"] = q.shape.at(0);
  json["columns"] = q.shape.at(1);
  if (!q.type.empty()) json["type"] = q.type;
  if (q.op == "add") json["bank_conflicts"] = q.bank_conflicts;
  if (q.op == "rope") json["head_dim"] = q.head_dim;
  if (q.op != "copy") return;
  if (q.tile.size() == 2) {
    json["tile_rows"] = q.tile[0];
    json["tile_columns"] = q.tile[1];
  }
  if (!q.target.empty()) json["target"] = q.target;
  json["nd_to_nz"] = q.nd_to_nz;
  json["repeats"] = q.repeats;
}

void add_attention(const OpQuestion& q, Json& json) {
  const auto batch = static_cast<size_t>(q.batch);
  json["q_lens"] = std::vector<int64_t>(batch, q.q_len);
  json["seq_lens"] = std::vector<int64_t>(batch, q.kv_len);
  json["heads"] = q.heads;
  json["kv_heads"] = q.kv_heads == 0 ? q.heads : q.kv_heads;
  json["head_dim"] = q.head_dim;
  json["v_dim"] = q.v_dim == 0 ? q.head_dim : q.v_dim;
  json["v_in_k"] = q.v_in_k;
  if (!q.kv.empty()) json["kv"] = q.kv;
}

}  // namespace

bool is_linear(const std::string& op) {
  return op == "linear" || op == "grouped_linear";
}

Result<std::vector<int64_t>> parse_sizes(const std::string& text,
                                         size_t count) {
  std::vector<int64_t> sizes;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    int64_t size = 0;
    const auto [rest, code] = std::from_chars(at, end, size);
    const bool is_last = rest == end;
    if (code != std::errc() || size < 1 || (!is_last && *rest != 'x') ||
        rest + 1 == end) {
      sizes.clear();
      break;
    }
    sizes.push_back(size);
    at = is_last ? end : rest + 1;
  }
  if (sizes.size() == count) return sizes;
  return Status(
      TSR_INVALID_ARGUMENT,
      fmt::format("{} is not {} sizes with x between them", text, count));
}

Json simulator_request(const OpQuestion& question,
                       const std::map<std::string, std::string>& files) {
  Json json;
  json["op"] = question.op;
  if (is_linear(question.op)) {
    add_linear(question, json);
  } else if (question.op == "attention") {
    add_attention(question, json);
  } else {
    add_rows(question, json);
  }
  if (question.cores > 0) json["cores"] = question.cores;
  for (const auto& [kind, path] : files) json[kind] = path;
  return json;
}

}  // namespace tessera::bench
