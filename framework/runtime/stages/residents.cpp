// SPDX-License-Identifier: Apache-2.0

#include "framework/runtime/stages/residents.hpp"

#include <fmt/format.h>

#include <utility>

namespace tessera {
namespace {

template <typename Map>
auto find_in(const Map& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? decltype(found->second.lock())()
                            : found->second.lock();
}

// Static activations have their scales with the weight.
std::string key_of(const Device& device, const GraphWeight& weight,
                   const LinearChoice& choice) {
  const bool is_static = has_static_activations(choice.act_quant);
  return fmt::format(
      "{}|{}|{}+{}|{} {} {} {}", static_cast<const void*>(&device), weight.name,
      weight.first_row, weight.N, choice.format, choice.group_size,
      choice.symmetric, is_static ? choice.act_quant : 0U);
}

std::string key_of(const Device& device, uint32_t index, uint32_t type) {
  return fmt::format("{}|{}|{}", static_cast<const void*>(&device), index,
                     type);
}

}  // namespace

Result<std::shared_ptr<LoadedWeight>> Residents::weight(
    Device& device, const GraphWeight& weight, const LinearChoice& choice,
    const WeightSource& source, uint64_t& out_bytes) {
  out_bytes = 0;
  const std::string key = key_of(device, weight, choice);
  if (auto known = find_in(weights_, key)) return known;
  TSR_ASSIGN_OR_RETURN(LoadedWeight loaded,
                       load_weight(device, weight, choice, source));
  auto shared = std::make_shared<LoadedWeight>(std::move(loaded));
  weights_[key] = shared;
  out_bytes = shared->bytes;
  return shared;
}

Result<std::shared_ptr<KvPool>> Residents::kv_pool(Device& device,
                                                   uint32_t index,
                                                   const tsr_kv_desc& desc,
                                                   uint64_t& out_bytes) {
  out_bytes = 0;
  const std::string key = key_of(device, index, desc.format);
  if (auto known = find_in(pools_, key)) return known;
  TSR_ASSIGN_OR_RETURN(KvPool pool, device.create_kv_pool(desc));
  auto shared = std::make_shared<KvPool>(std::move(pool));
  pools_[key] = shared;
  out_bytes = shared->bytes();
  return shared;
}

std::shared_ptr<LoadedConstant> Residents::find_constant(const Device& device,
                                                         uint32_t graph_tensor,
                                                         uint32_t dtype) const {
  return find_in(constants_, key_of(device, graph_tensor, dtype));
}

void Residents::put_constant(const Device& device, uint32_t graph_tensor,
                             uint32_t dtype,
                             const std::shared_ptr<LoadedConstant>& constant) {
  constants_[key_of(device, graph_tensor, dtype)] = constant;
}

}  // namespace tessera
