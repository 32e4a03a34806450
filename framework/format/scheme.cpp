// SPDX-License-Identifier: Apache-2.0

#include "framework/format/scheme.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tessera/ops.h"

namespace tessera {
namespace {

struct SchemeRow {
  std::string_view name;
  uint32_t weight_format;
  uint32_t group_size;
  uint32_t act_quant;
  uint32_t act_dtype;
  uint32_t kv_format;
};

// Integer schemes keep F32 between the ops: what is rounded is then only what
// the scheme's name says.
// clang-format off
constexpr SchemeRow kSchemes[] = {
    // name          weights          group  activations         between   KV
    {"f32",          TSR_WEIGHT_F32,    0,   TSR_ACT_FLOAT,      TSR_F32,  TSR_KV_F32},
    {"w16a16",       TSR_WEIGHT_F16,    0,   TSR_ACT_FLOAT,      TSR_F16,  TSR_KV_F16},
    {"bf16",         TSR_WEIGHT_BF16,   0,   TSR_ACT_FLOAT,      TSR_BF16, TSR_KV_BF16},
    {"w8a8",         TSR_WEIGHT_I8,     0,   TSR_ACT_I8_STATIC,  TSR_F32,  TSR_KV_F32},
    {"w8a8_dynamic", TSR_WEIGHT_I8,     0,   TSR_ACT_I8_DYNAMIC, TSR_F32,  TSR_KV_F32},
    {"w8a8_mix",     TSR_WEIGHT_I8,     0,   TSR_ACT_I8_MIX,     TSR_F32,  TSR_KV_F32},
    {"w8a8s",        TSR_WEIGHT_I8,     0,   TSR_ACT_I8_STATIC,  TSR_F32,  TSR_KV_F32},
    {"w8a8sc",       TSR_WEIGHT_SPARSE_FIXED, 0, TSR_ACT_I8_STATIC, TSR_F32, TSR_KV_F32},
    {"w8a16",        TSR_WEIGHT_I8,     0,   TSR_ACT_FLOAT,      TSR_BF16, TSR_KV_BF16},
    {"w4a16",        TSR_WEIGHT_U4,     128, TSR_ACT_FLOAT,      TSR_BF16, TSR_KV_BF16},
    {"w4a8",         TSR_WEIGHT_I4,     128, TSR_ACT_I8_DYNAMIC, TSR_F32,  TSR_KV_F32},
    {"w4a4",         TSR_WEIGHT_I4,     0,   TSR_ACT_I4_DYNAMIC, TSR_F32,  TSR_KV_F32},
    {"fp8",          TSR_WEIGHT_F8E4M3, 0,   TSR_ACT_F8_DYNAMIC, TSR_F32,  TSR_KV_F32},
    {"fp8a16",       TSR_WEIGHT_F8E4M3, 0,   TSR_ACT_FLOAT,      TSR_BF16, TSR_KV_BF16},
    {"fp4",          TSR_WEIGHT_F4E2M1, 32,  TSR_ACT_FLOAT,      TSR_BF16, TSR_KV_BF16},
    {"mxfp4",        TSR_WEIGHT_MXFP4,  32,  TSR_ACT_FLOAT,      TSR_BF16, TSR_KV_BF16},
    {"nvfp4",        TSR_WEIGHT_NVFP4,  16,  TSR_ACT_FLOAT,      TSR_BF16, TSR_KV_BF16},
    {"q4_0",         TSR_WEIGHT_Q4_0,   0,   TSR_ACT_FLOAT,      TSR_BF16, TSR_KV_BF16},
    {"q4_1",         TSR_WEIGHT_Q4_1,   0,   TSR_ACT_FLOAT,      TSR_BF16, TSR_KV_BF16},
    {"q5_0",         TSR_WEIGHT_Q5_0,   0,   TSR_ACT_FLOAT,      TSR_BF16, TSR_KV_BF16},
    {"q5_1",         TSR_WEIGHT_Q5_1,   0,   TSR_ACT_FLOAT,      TSR_BF16, TSR_KV_BF16},
    {"q8_0",         TSR_WEIGHT_Q8_0,   0,   TSR_ACT_FLOAT,      TSR_BF16, TSR_KV_BF16},
    {"q4_k",         TSR_WEIGHT_Q4_K,   0,   TSR_ACT_FLOAT,      TSR_BF16, TSR_KV_BF16},
    {"q5_k",         TSR_WEIGHT_Q5_K,   0,   TSR_ACT_FLOAT,      TSR_BF16, TSR_KV_BF16},
    {"q6_k",         TSR_WEIGHT_Q6_K,   0,   TSR_ACT_FLOAT,      TSR_BF16, TSR_KV_BF16},
};
// clang-format on

struct KvSuffix {
  std::string_view text;
  uint32_t kv_format;
};

constexpr KvSuffix kKvSuffixes[] = {
    {"_kv8", TSR_KV_I8_TOKEN},
    {"_kv8_channel", TSR_KV_I8_CHANNEL},
    {"_fa3", TSR_KV_I8_HEAD},
};

// The head stays in a float type: the scheme's, or BF16 where weights are
// integers (msModelSlim's disable_last_linear).
uint32_t head_format(const SchemeRow& row) {
  switch (row.weight_format) {
    case TSR_WEIGHT_F32:
    case TSR_WEIGHT_F16:
      return row.weight_format;
    default:
      return TSR_WEIGHT_BF16;
  }
}

Scheme from_row(const SchemeRow& row) {
  Scheme scheme;
  scheme.name = row.name;
  scheme.weight_format = row.weight_format;
  scheme.group_size = row.group_size;
  scheme.act_quant = row.act_quant;
  scheme.act_dtype = row.act_dtype;
  scheme.kv_format = row.kv_format;
  scheme.head_format = head_format(row);
  scheme.sparsified = row.name == "w8a8s" || row.name == "w8a8sc";
  return scheme;
}

// Reads "_g64_asym" and the like into `scheme`; false if it is something else.
bool apply_suffix(std::string_view suffix, Scheme& scheme) {
  const auto take = [&suffix](std::string_view word) {
    if (!suffix.starts_with(word)) return false;
    suffix.remove_prefix(word.size());
    return true;
  };
  if (take("_g32")) {
    scheme.group_size = 32;
  } else if (take("_g64")) {
    scheme.group_size = 64;
  } else if (take("_g128")) {
    scheme.group_size = 128;
  } else if (take("_channel")) {
    scheme.group_size = 0;
  }
  if (scheme.weight_format == TSR_WEIGHT_U4 && take("_asym")) {
    scheme.symmetric = false;
  }
  return suffix.empty();
}

}  // namespace

bool has_static_activations(uint32_t act_quant) {
  return act_quant == TSR_ACT_I8_STATIC || act_quant == TSR_ACT_U8_STATIC ||
         act_quant == TSR_ACT_I8_MIX;
}

bool is_float_format(uint32_t weight_format) {
  return weight_format == TSR_WEIGHT_F32 || weight_format == TSR_WEIGHT_F16 ||
         weight_format == TSR_WEIGHT_BF16;
}

Result<Scheme> find_scheme(std::string_view name) {
  std::string_view base = name;
  const KvSuffix* kv = nullptr;
  for (const KvSuffix& suffix : kKvSuffixes) {
    if (name.ends_with(suffix.text)) kv = &suffix;
  }
  if (kv != nullptr) base.remove_suffix(kv->text.size());
  for (const SchemeRow& row : kSchemes) {
    Scheme scheme = from_row(row);
    const bool has_groups = row.weight_format == TSR_WEIGHT_U4 ||
                            row.weight_format == TSR_WEIGHT_I4;
    if (base != row.name &&
        !(has_groups && base.starts_with(row.name) &&
          apply_suffix(base.substr(row.name.size()), scheme))) {
      continue;
    }
    scheme.name = name;
    if (kv != nullptr) scheme.kv_format = kv->kv_format;
    return scheme;
  }
  return Status(TSR_INVALID_ARGUMENT,
                fmt::format("scheme {}: not one of {}; w4a16, w4a8 and w4a4 "
                            "also with _g32, _g64, _g128 or _channel",
                            name, fmt::join(scheme_names(), " ")));
}

std::vector<std::string> scheme_names() {
  std::vector<std::string> names;
  for (const SchemeRow& row : kSchemes) names.emplace_back(row.name);
  return names;
}

}  // namespace tessera
