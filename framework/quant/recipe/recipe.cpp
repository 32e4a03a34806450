// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/recipe/recipe.hpp"

#include <fmt/format.h>

namespace tessera::quant {
namespace {

struct OutlierName {
  std::string_view name;
  std::string_view alias;  // msModelSlim's
  OutlierMethod method;
};

constexpr OutlierName kOutlierNames[] = {
    {"none", "none", OutlierMethod::kNone},
    {"smooth_quant", "m1", OutlierMethod::kSmoothQuant},
    {"smooth_quant", "m2", OutlierMethod::kSmoothQuant},
    {"awq", "m3", OutlierMethod::kAwq},
    {"iterative_smooth", "m4", OutlierMethod::kIterativeSmooth},
    {"flex_smooth", "m6", OutlierMethod::kFlexSmooth},
};

}  // namespace

Result<WeightMethod> find_weight_method(std::string_view name) {
  if (name == "nearest") return WeightMethod::kNearest;
  if (name == "gptq") return WeightMethod::kGptq;
  return Status(TSR_INVALID_ARGUMENT,
                fmt::format("weight method {}: not nearest or gptq", name));
}

Result<Importance> find_importance(std::string_view name) {
  if (name == "magnitude") return Importance::kMagnitude;
  if (name == "wanda") return Importance::kWanda;
  if (name == "sparsegpt") return Importance::kSparseGpt;
  return Status(
      TSR_INVALID_ARGUMENT,
      fmt::format("importance {}: not magnitude, wanda or sparsegpt", name));
}

bool needs_hessian(const Recipe& recipe) {
  return recipe.weights == WeightMethod::kGptq ||
         recipe.sparsity.importance == Importance::kSparseGpt;
}

Result<OutlierMethod> find_outlier_method(std::string_view name) {
  for (const OutlierName& row : kOutlierNames) {
    if (name == row.name || name == row.alias) return row.method;
  }
  return Status(TSR_INVALID_ARGUMENT,
                fmt::format("outlier method {}: not none, smooth_quant (m1, "
                            "m2), awq (m3), iterative_smooth (m4) or "
                            "flex_smooth (m6)",
                            name));
}

}  // namespace tessera::quant
