// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/pipeline/suppress_outliers.hpp"

#include <algorithm>

#include "framework/quant/block/block_parts.hpp"
#include "framework/quant/outliers/scale_search.hpp"
#include "framework/quant/pipeline/quantize_linear.hpp"
#include "tessera/ops.h"

namespace tessera::quant {
namespace {

// An index of block_parts() among the subgraph's consumers, and its name.
struct SubgraphRow {
  Subgraph subgraph;
  uint32_t part;
  const char* name;
};
constexpr SubgraphRow kRows[] = {
    {Subgraph::kNormAttention, 0, "attention norm and q, k, v"},
    {Subgraph::kNormMlp, 4, "mlp norm and gate, up"},
    {Subgraph::kValueOutput, 3, "v and o"},
    {Subgraph::kUpDown, 6, "up and down"},
};

const SubgraphRow& row_of(Subgraph subgraph) {
  return *std::find_if(
      std::begin(kRows), std::end(kRows),
      [subgraph](const SubgraphRow& row) { return row.subgraph == subgraph; });
}

std::span<const Subgraph> subgraphs_of(const OutlierOptions& options) {
  if (!options.subgraphs.empty()) return options.subgraphs;
  return options.method == OutlierMethod::kSmoothQuant ? norm_subgraphs()
                                                       : all_subgraphs();
}

// The scheme of the first consumer that is quantized; null if none is.
const Scheme* scheme_of(const BlockPlan& plan, Subgraph subgraph) {
  const uint32_t first = row_of(subgraph).part;
  for (uint32_t part = first; part < plan.schemes.size(); ++part) {
    if (input_of_part(part) != first) break;
    if (plan.schemes[part] != nullptr) return plan.schemes[part];
  }
  return nullptr;
}

InputRounding rounding_of(const Scheme& scheme) {
  if (scheme.act_quant == TSR_ACT_FLOAT) return InputRounding::kNone;
  return has_static_activations(scheme.act_quant) ? InputRounding::kStatic
                                                  : InputRounding::kPerToken;
}

class Suppressor {
 public:
  Suppressor(const Recipe& recipe, const BlockPlan& plan, DecoderBlock* block,
             const ParallelFor& run)
      : recipe_(recipe), plan_(plan), block_(block), run_(run) {
    activations_.attention = columns(0).abs_max;
    activations_.output = columns(3).abs_max;
    activations_.mlp = columns(4).abs_max;
    activations_.down = columns(6).abs_max;
  }

  Status apply(Subgraph subgraph) {
    const Scheme* scheme = scheme_of(plan_, subgraph);
    if (scheme == nullptr) return {};
    switch (recipe_.outliers.method) {
      case OutlierMethod::kNone:
        return {};
      case OutlierMethod::kSmoothQuant:
      case OutlierMethod::kIterativeSmooth:
        return smooth_subgraph(subgraph, recipe_.outliers.exponents, block_,
                               &activations_)
            .status();
      case OutlierMethod::kAwq:
      case OutlierMethod::kFlexSmooth:
        return search(subgraph, *scheme);
    }
    return {};
  }

 private:
  const ColumnStatistics& columns(uint32_t part) const {
    return plan_.inputs[part]->statistics.columns();
  }

  Status search(Subgraph subgraph, const Scheme& scheme) {
    // Formats with a rule of their own have no scales to search with.
    if (!is_integer_scheme(scheme)) return {};
    const CapturedInput& input = *plan_.inputs[row_of(subgraph).part];
    const std::vector<FloatLinear*> linears = consumers(subgraph, block_);
    const std::vector<uint32_t> channels = channel_map(subgraph, *block_);
    ScaleProblem problem;
    problem.linears = linears;
    problem.channels = channels;
    problem.rows = input.rows;
    problem.weight_scheme = weight_scheme_of(scheme);
    problem.clip = recipe_.clip;
    problem.inputs = rounding_of(scheme);
    problem.max_input_code = scheme.act_quant == TSR_ACT_I4_DYNAMIC ? 7 : 127;
    const ColumnStatistics& seen = input.statistics.columns();
    TSR_ASSIGN_OR_RETURN(const ScaleChoice choice,
                         recipe_.outliers.method == OutlierMethod::kAwq
                             ? search_awq(problem, seen.mean_abs(), run_)
                             : search_flex_smooth(problem, seen.abs_max, run_));
    return fold_scales(subgraph, choice.s, block_);
  }

  const Recipe& recipe_;
  const BlockPlan& plan_;
  DecoderBlock* block_;
  const ParallelFor& run_;
  BlockActivations activations_;
};

}  // namespace

Status suppress_outliers(const Recipe& recipe, const BlockPlan& plan,
                         DecoderBlock* block, const ParallelFor& run) {
  Suppressor suppressor(recipe, plan, block, run);
  for (const Subgraph subgraph : subgraphs_of(recipe.outliers)) {
    TSR_RETURN_IF_ERROR(
        suppressor.apply(subgraph).annotate(row_of(subgraph).name));
  }
  return {};
}

}  // namespace tessera::quant
