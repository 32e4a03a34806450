// SPDX-License-Identifier: Apache-2.0

#include "framework/runtime/rounded_weights.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "framework/runtime/weight_loader.hpp"

namespace tessera {
namespace {

// Reading such a weight again costs nothing.
bool borrows_all(const format::WeightData& data) {
  return std::all_of(
      data.planes.begin(), data.planes.end(),
      [](const format::Plane& plane) { return plane.owned.empty(); });
}

}  // namespace

// Static activations have their scales with the weight.
std::string weight_key(const GraphWeight& weight, const LinearChoice& choice) {
  const bool is_static = has_static_activations(choice.act_quant);
  return fmt::format("{}|{}+{}|{} {} {} {}", weight.name, weight.first_row,
                     weight.N, choice.format, choice.group_size,
                     choice.symmetric, is_static ? choice.act_quant : 0U);
}

Result<std::shared_ptr<const format::WeightData>> RoundedWeights::read(
    const GraphWeight& weight, const LinearChoice& choice,
    const WeightSource& source, ThreadPool* pool) {
  const std::string key = weight_key(weight, choice);
  const auto known = kept_.find(key);
  if (known != kept_.end()) return known->second;
  TSR_ASSIGN_OR_RETURN(format::WeightData data,
                       read_weight(weight, choice, source, pool));
  auto shared = std::make_shared<const format::WeightData>(std::move(data));
  if (borrows_all(*shared) || bytes_ + shared->bytes() > max_bytes_) {
    return shared;
  }
  bytes_ += shared->bytes();
  kept_[key] = shared;
  return shared;
}

void RoundedWeights::forget(const GraphWeight& weight,
                            const LinearChoice& choice) {
  const auto known = kept_.find(weight_key(weight, choice));
  if (known == kept_.end()) return;
  bytes_ -= known->second->bytes();
  kept_.erase(known);
}

}  // namespace tessera
