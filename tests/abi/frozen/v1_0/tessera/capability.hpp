// SPDX-License-Identifier: Apache-2.0
//
// tessera/capability.hpp - answers `check` from the kernel table alone: which
// row runs an op, and if none does, the reason, the field, and the nearest
// value that would work.  A backend adds in code only what rows cannot say.

#pragma once

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "tessera/detail/row_match.hpp"
#include "tessera/op_facts.hpp"

namespace tessera::sdk {

// The first row of `rows` (of tsr_kernel_desc) that runs `facts` for a step of
// M rows in `phase` (TSR_PREFILL or TSR_DECODE); none if there is no such row.
inline std::optional<uint32_t> find_row(const tsr_array& rows,
                                        const OpFacts& facts, uint32_t phase,
                                        uint32_t M) {
  const Elements<tsr_kernel_desc> table(rows);
  for (uint32_t i = 0; i < table.size(); ++i) {
    const tsr_kernel_desc row = table[i];
    if ((row.phases & phase) != 0 && detail::range_has(row.M, M) &&
        !detail::find_mismatch(row, facts)) {
      return i;
    }
  }
  return std::nullopt;
}

// The field and value of `row` that this version of the ABI does not know, as
// "op 13"; empty if it knows them all.  A host skips and reports such rows.
// Unknown bits of masks do not count: nobody asks for them.
inline std::string unknown_value(const tsr_kernel_desc& row) {
  const auto field = [](const char* name, uint32_t value) {
    return std::string(name) + " " + std::to_string(value);
  };
  const bool extension = row.op == TSR_OP_EXTENSION;
  if (!extension && (row.op == 0 || row.op > TSR_OP_GATHER_ROWS)) {
    return field("op", row.op);
  }
  if (row.determinism > TSR_DETERMINISM_PORTABLE) {
    return field("determinism", row.determinism);
  }
  if (row.error_class == 0 || row.error_class > TSR_ERROR_HALF_PRODUCTS) {
    return field("error_class", row.error_class);
  }
  if (row.weight_format > TSR_WEIGHT_IQ4_NL) {
    return field("weight_format", row.weight_format);
  }
  const Elements<tsr_plane_rule> rules(row.planes);
  for (uint32_t i = 0; i < rules.size(); ++i) {
    const uint32_t role = rules[i].role;
    if (role == 0 || role > TSR_PLANE_QUANT_BIAS) {
      return field("plane role", role);
    }
  }
  return "";
}

namespace detail {

// The rows of a table that run `facts`, leaving phase and M aside, and why the
// others do not.
struct RowSearch {
  std::vector<tsr_kernel_desc> rows;
  std::optional<Mismatch> nearest;
};

inline RowSearch search_rows(const Elements<tsr_kernel_desc>& table,
                             const OpFacts& facts) {
  RowSearch search;
  for (uint32_t i = 0; i < table.size(); ++i) {
    const tsr_kernel_desc row = table[i];
    std::optional<Mismatch> mismatch = find_mismatch(row, facts);
    if (!mismatch) {
      search.rows.push_back(row);
    } else if (!search.nearest || is_nearer(*mismatch, *search.nearest)) {
      search.nearest = std::move(mismatch);
    }
  }
  return search;
}

// The first M in 1 .. max_m (or max_m alone if M does not vary) that no row
// takes in `phase`; 0 if there is none.
inline uint32_t first_gap(const std::vector<tsr_kernel_desc>& rows,
                          const OpFacts& facts, uint32_t phase) {
  uint32_t m = facts.M_varies ? 1 : facts.M;
  while (m <= facts.M) {
    uint32_t covered = 0;
    for (const tsr_kernel_desc& row : rows) {
      if ((row.phases & phase) == 0 || !range_has(row.M, m)) continue;
      const bool every = row.M.multiple <= 1;
      const uint32_t end = row.M.max == 0 ? UINT32_MAX : row.M.max;
      covered = std::max(covered, every ? end : m);
    }
    if (covered == 0) return m;
    if (covered >= facts.M) break;
    m = covered + 1;
  }
  return 0;
}

inline Mismatch refuse_phase(uint32_t phase) {
  return {TSR_REFUSED_FEATURE, "phase", phase, phase,
          phase == TSR_DECODE ? "no kernel for decode steps"
                              : "no kernel for prefill steps"};
}

// Why `gap` rows are too few or too many.
inline Mismatch refuse_rows(const std::vector<tsr_kernel_desc>& rows,
                            const OpFacts& facts, uint32_t phase,
                            uint32_t gap) {
  std::optional<Mismatch> best;
  for (const tsr_kernel_desc& row : rows) {
    if ((row.phases & phase) == 0) continue;
    Mismatch mismatch = refuse_number(TSR_REFUSED_SHAPE, "M", gap,
                                      nearest_in_range(row.M, gap));
    if (!best || is_nearer(mismatch, *best)) best = std::move(mismatch);
  }
  if (!best) return refuse_phase(phase);
  if (best->nearest > best->value) return *best;
  // All rows end below the gap: what was asked for is the largest step.
  return refuse_number(TSR_REFUSED_SHAPE, "M", facts.M, best->nearest);
}

inline std::optional<Mismatch> find_refusal(
    const Elements<tsr_kernel_desc>& table, const OpFacts& facts,
    uint32_t phases) {
  const RowSearch search = search_rows(table, facts);
  if (search.rows.empty()) {
    if (search.nearest) return search.nearest;
    return refuse_kind(facts);
  }
  for (const uint32_t phase : {TSR_PREFILL, TSR_DECODE}) {
    if ((phases & phase) == 0) continue;
    const uint32_t gap = first_gap(search.rows, facts, phase);
    if (gap != 0) return refuse_rows(search.rows, facts, phase, gap);
  }
  return std::nullopt;
}

}  // namespace detail

// A refusal as the host reads it; text that does not fit is cut.
inline tsr_refusal make_refusal(uint32_t op, uint32_t reason,
                                const std::string& field, int64_t value,
                                int64_t nearest, const std::string& message) {
  tsr_refusal refusal{};
  refusal.struct_size = sizeof(refusal);
  refusal.op = op;
  refusal.reason = reason;
  refusal.value = value;
  refusal.nearest = nearest;
  std::snprintf(refusal.field, sizeof(refusal.field), "%s", field.c_str());
  std::snprintf(refusal.message, sizeof(refusal.message), "%s",
                message.c_str());
  return refusal;
}

// One refusal for each op of the question's program that `rows` (of
// tsr_kernel_desc) cannot run in every step the program allows, in both of its
// phases.
//
// Errors   throws INVALID_ARGUMENT as read_op_facts does
inline std::vector<tsr_refusal> check_against(const tsr_array& rows,
                                              const ProgramQuestion& question) {
  const Elements<tsr_kernel_desc> table(rows);
  const uint32_t asked = question.program.desc().phases;
  const uint32_t phases = asked == 0 ? TSR_PREFILL | TSR_DECODE : asked;
  std::vector<tsr_refusal> refusals;
  for (uint32_t i = 0; i < question.program.ops().size(); ++i) {
    const OpFacts facts = read_op_facts(question, i);
    const auto why = detail::find_refusal(table, facts, phases);
    if (!why) continue;
    refusals.push_back(
        make_refusal(i, why->reason, why->field, why->value, why->nearest,
                     names::op(facts.kind) + ": " + why->message));
  }
  return refusals;
}

}  // namespace tessera::sdk
