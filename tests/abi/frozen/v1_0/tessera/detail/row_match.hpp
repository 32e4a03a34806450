// SPDX-License-Identifier: Apache-2.0
//
// tessera/detail/row_match.hpp - holds an op against one row of a kernel table.
// Use tessera/capability.hpp.

#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "tessera/op_facts.hpp"
#include "tessera/plugin.h"

namespace tessera::sdk::detail {

// Why a row does not run an op.  `progress` counts the tests it passed before:
// the row that came furthest explains a refusal best.
struct Mismatch {
  uint32_t reason;  // TSR_REFUSED_*
  std::string field;
  int64_t value;
  int64_t nearest;  // equal to value if nothing would work
  std::string message;
  uint32_t progress = 0;
};

using MaybeMismatch = std::optional<Mismatch>;

inline bool is_nearer(const Mismatch& a, const Mismatch& b) {
  if (a.progress != b.progress) return a.progress > b.progress;
  const auto distance = [](const Mismatch& m) {
    if (m.nearest == m.value) return INT64_MAX;
    return m.nearest < m.value ? m.value - m.nearest : m.nearest - m.value;
  };
  return distance(a) < distance(b);
}

// ---- Masks and ranges

inline bool mask_has(uint32_t mask, uint32_t value) {
  return value < 32 && (mask >> value & 1) != 0;
}

// The value of `mask` nearest to `value`, the lower of two; `value` if empty.
inline uint32_t nearest_in_mask(uint32_t mask, uint32_t value) {
  uint32_t best = value;
  uint32_t best_distance = UINT32_MAX;
  for (uint32_t candidate = 0; candidate < 32; ++candidate) {
    if (!mask_has(mask, candidate)) continue;
    const uint32_t distance =
        candidate < value ? value - candidate : candidate - value;
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

inline bool range_has(const tsr_range& range, uint32_t value) {
  return value >= range.min && (range.max == 0 || value <= range.max) &&
         (range.multiple <= 1 || value % range.multiple == 0);
}

// The positive value of `range` nearest to `value`, the lower of two; `value`
// if there is none.
inline int64_t nearest_in_range(const tsr_range& range, uint32_t value) {
  const int64_t step = range.multiple == 0 ? 1 : range.multiple;
  const int64_t min = std::max<int64_t>(range.min, 1);
  const int64_t max = range.max == 0 ? UINT32_MAX : range.max;
  const int64_t low = (min + step - 1) / step * step;
  const int64_t high = max / step * step;
  if (low > high) return value;
  const int64_t below = std::clamp(value / step * step, low, high);
  const int64_t above = std::clamp((value + step - 1) / step * step, low, high);
  return value - below <= above - value ? below : above;
}

// ---- Kinds of refusal

inline Mismatch refuse_number(uint32_t reason, const std::string& field,
                              int64_t value, int64_t nearest) {
  std::string message = field + " " + std::to_string(value);
  message += nearest == value ? " is not supported"
                              : ", nearest is " + std::to_string(nearest);
  return {reason, field, value, nearest, message};
}

// `word` spells a value: names::dtype ...
inline Mismatch refuse_word(uint32_t reason, const std::string& field,
                            uint32_t value, uint32_t nearest,
                            std::string (*word)(uint32_t)) {
  std::string message = field + " " + word(value);
  message +=
      nearest == value ? " is not supported" : ", nearest is " + word(nearest);
  return {reason, field, value, nearest, message};
}

inline Mismatch refuse_kind(const OpFacts& facts) {
  return {TSR_REFUSED_OP, "op", facts.kind, facts.kind,
          "no kernel for this op"};
}

// ---- Tests, one for each thing a row can say

inline MaybeMismatch in_mask(uint32_t reason, const std::string& field,
                             uint32_t mask, uint32_t value,
                             std::string (*word)(uint32_t)) {
  if (mask_has(mask, value)) return std::nullopt;
  return refuse_word(reason, field, value, nearest_in_mask(mask, value), word);
}

inline MaybeMismatch in_range(const std::string& field, const tsr_range& range,
                              uint32_t value) {
  if (range_has(range, value)) return std::nullopt;
  return refuse_number(TSR_REFUSED_SHAPE, field, value,
                       nearest_in_range(range, value));
}

inline bool understands(const tsr_kernel_desc& row, const std::string& name) {
  const Elements<const char*> known(row.extensions);
  for (uint32_t i = 0; i < known.size(); ++i) {
    if (name == known[i]) return true;
  }
  return false;
}

inline MaybeMismatch test_kind(const tsr_kernel_desc& row,
                               const OpFacts& facts) {
  if (row.op != facts.kind) return refuse_kind(facts);
  return std::nullopt;
}

inline MaybeMismatch test_extensions(const tsr_kernel_desc& row,
                                     const OpFacts& facts) {
  for (const std::string& name : facts.extensions) {
    if (understands(row, name)) continue;
    return Mismatch{TSR_REFUSED_EXTENSION, "extension", 0, 0,
                    "extension " + name + " is unknown"};
  }
  return std::nullopt;
}

inline MaybeMismatch test_formats(const tsr_kernel_desc& row,
                                  const OpFacts& facts) {
  if (facts.weight_format != row.weight_format) {
    return refuse_word(TSR_REFUSED_FORMAT, "weight.format", facts.weight_format,
                       row.weight_format, names::weight_format);
  }
  if (facts.kv_format == 0) return std::nullopt;
  return in_mask(TSR_REFUSED_FORMAT, "kv.format", row.kv_formats,
                 facts.kv_format, names::kv_format);
}

inline MaybeMismatch test_act_quant(const tsr_kernel_desc& row,
                                    const OpFacts& facts) {
  if (facts.kind != TSR_OP_LINEAR) return std::nullopt;
  return in_mask(TSR_REFUSED_DTYPE, "act_quant", row.act_quants,
                 facts.act_quant, names::act_quant);
}

inline MaybeMismatch test_dtypes(const tsr_kernel_desc& row,
                                 const OpFacts& facts) {
  for (const OpFacts::Input& input : facts.inputs) {
    const std::string field = std::string(input.name) + ".dtype";
    if (auto no = in_mask(TSR_REFUSED_DTYPE, field, row.x_dtypes, input.dtype,
                          names::dtype)) {
      return no;
    }
  }
  if (facts.y_dtype == TSR_DTYPE_NONE) return std::nullopt;
  // A partial result is the accumulator itself.
  const bool partial = (facts.fused & TSR_FUSES_PARTIAL) != 0;
  const uint32_t mask = partial ? 1U << (row.accumulator & 31) : row.y_dtypes;
  return in_mask(TSR_REFUSED_DTYPE, "y.dtype", mask, facts.y_dtype,
                 names::dtype);
}

// ---- Planes

inline MaybeMismatch in_blocks(const std::string& field, const tsr_range& range,
                               uint32_t block, uint32_t whole) {
  if (block >= whole && range.max == TSR_WHOLE) return std::nullopt;
  if (range_has(range, block)) return std::nullopt;
  const int64_t nearest =
      range.min == TSR_WHOLE ? whole : nearest_in_range(range, block);
  return refuse_number(TSR_REFUSED_FORMAT, field, block, nearest);
}

inline MaybeMismatch test_plane(const tsr_plane_rule& rule,
                                const tsr_plane& plane, const OpFacts& facts) {
  const std::string role = names::plane_role(plane.role);
  if (auto no = in_mask(TSR_REFUSED_FORMAT, role + ".dtype", rule.dtypes,
                        plane.dtype, names::dtype)) {
    return no;
  }
  if (plane.block_n == 0 && plane.block_k == 0) return std::nullopt;
  const bool scale = plane.role == TSR_PLANE_SCALE;
  if (auto no = in_blocks(scale ? "group_size" : role + ".block_k",
                          rule.block_k, plane.block_k, facts.K)) {
    return no;
  }
  return in_blocks(role + ".block_n", rule.block_n, plane.block_n, facts.N);
}

inline Mismatch refuse_plane(uint32_t role, const char* what) {
  const std::string name = names::plane_role(role);
  return {TSR_REFUSED_FORMAT, name, role, role, "plane " + name + what};
}

inline MaybeMismatch test_planes(const tsr_kernel_desc& row,
                                 const OpFacts& facts) {
  const Elements<tsr_plane_rule> rules(row.planes);
  uint64_t ruled = UINT64_C(1) << TSR_PLANE_CODES;
  for (uint32_t i = 0; i < rules.size(); ++i) {
    const tsr_plane_rule rule = rules[i];
    if (rule.role < 64) ruled |= UINT64_C(1) << rule.role;
    bool found = false;
    for (const tsr_plane& plane : facts.planes) {
      if (plane.role != rule.role) continue;
      found = true;
      if (auto no = test_plane(rule, plane, facts)) return no;
    }
    if (!found && rule.required != 0) {
      return refuse_plane(rule.role, " is missing");
    }
  }
  for (const tsr_plane& plane : facts.planes) {
    if (plane.role < 64 && (ruled >> plane.role & 1) != 0) continue;
    return refuse_plane(plane.role, " is not supported");
  }
  return std::nullopt;
}

// ---- Epilogue, attention facts and shapes

inline MaybeMismatch test_epilogue(const tsr_kernel_desc& row,
                                   const OpFacts& facts) {
  if (facts.activation != TSR_EPILOGUE_NONE) {
    const uint32_t mask = row.activations | 1U << TSR_EPILOGUE_NONE;
    if (auto no = in_mask(TSR_REFUSED_EPILOGUE, "activation", mask,
                          facts.activation, names::activation)) {
      return no;
    }
  }
  static const char* const operands[] = {"bias",       "multiplier", "residual",
                                         "accumulate", "partial",    "n_range"};
  for (uint32_t bit = 0; bit < 6; ++bit) {
    if ((facts.fused & ~row.fused_operands & 1U << bit) == 0) continue;
    return Mismatch{TSR_REFUSED_EPILOGUE, operands[bit], 1, 0,
                    std::string(operands[bit]) + " is not supported"};
  }
  return std::nullopt;
}

inline MaybeMismatch test_attention(const tsr_kernel_desc& row,
                                    const OpFacts& facts) {
  if (facts.kind == TSR_OP_ATTENTION) {
    if (auto no = in_mask(TSR_REFUSED_FEATURE, "mask", row.masks, facts.mask,
                          names::mask)) {
      return no;
    }
    if (auto no = in_range("gqa_ratio", row.gqa_ratio, facts.gqa_ratio)) {
      return no;
    }
  }
  if (facts.kind == TSR_OP_KV_APPEND || facts.kind == TSR_OP_ROPE) {
    if (auto no = in_mask(TSR_REFUSED_FEATURE, "rope_style", row.rope_styles,
                          facts.rope_style, names::rope_style)) {
      return no;
    }
  }
  if (facts.head_dim == 0) return std::nullopt;
  if (auto no = in_range("head_dim", row.head_dim, facts.head_dim)) return no;
  if (facts.block_size == 0) return std::nullopt;
  return in_range("block_size", row.block_size, facts.block_size);
}

inline MaybeMismatch test_shapes(const tsr_kernel_desc& row,
                                 const OpFacts& facts) {
  if (facts.N != 0) {
    if (auto no = in_range("N", row.N, facts.N)) return no;
  }
  if (facts.K != 0) {
    if (auto no = in_range("K", row.K, facts.K)) return no;
  }
  const tsr_range edge{0, 0, row.N.multiple};
  if (auto no = in_range("n_begin", edge, facts.n_begin)) return no;
  if (facts.n_end == facts.N) return std::nullopt;
  return in_range("n_end", edge, facts.n_end);
}

inline MaybeMismatch test_determinism(const tsr_kernel_desc& row,
                                      const OpFacts& facts) {
  if (!facts.portable || row.determinism == TSR_DETERMINISM_PORTABLE) {
    return std::nullopt;
  }
  return Mismatch{TSR_REFUSED_FEATURE, "determinism", TSR_DETERMINISM_PORTABLE,
                  row.determinism, "no portable kernel"};
}

// Why `row` does not run `facts`, leaving phase and M aside; none if it does.
// The order decides which row explains a refusal: first what makes a kernel
// another kind of kernel, last what one could change about the op.
inline MaybeMismatch find_mismatch(const tsr_kernel_desc& row,
                                   const OpFacts& facts) {
  using Test = MaybeMismatch (*)(const tsr_kernel_desc&, const OpFacts&);
  static constexpr Test kTests[] = {
      test_kind,       test_formats,    test_act_quant, test_dtypes,
      test_planes,     test_epilogue,   test_attention, test_shapes,
      test_extensions, test_determinism};
  uint32_t progress = 0;
  for (const Test test : kTests) {
    if (auto no = test(row, facts)) {
      no->progress = progress;
      return no;
    }
    ++progress;
  }
  return std::nullopt;
}

}  // namespace tessera::sdk::detail
