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

std::string on_device(const Device& device, const std::string& what) {
  return fmt::format("{}|{}", static_cast<const void*>(&device), what);
}

// Other sessions number what is in no file in their own way.
std::string text_of(const Residents::ConstantKey& key) {
  return on_device(
      key.device,
      fmt::format("{}|{}",
                  key.source.empty() ? std::to_string(key.graph_tensor)
                                     : "file " + key.source,
                  key.dtype));
}

}  // namespace

Result<std::shared_ptr<LoadedWeight>> Residents::weight(
    Device& device, const GraphWeight& weight, const LinearChoice& choice,
    const WeightSource& source, uint64_t& out_bytes) {
  if (shared_ != nullptr) {
    return shared_->weight(device, weight, choice, source, out_bytes);
  }
  out_bytes = 0;
  const std::string key = on_device(device, weight_key(weight, choice));
  if (auto known = find_in(weights_, key)) {
    keep(known);
    return known;
  }
  TSR_ASSIGN_OR_RETURN(LoadedWeight loaded,
                       load_weight(device, weight, choice, source, rounded_));
  auto shared = std::make_shared<LoadedWeight>(std::move(loaded));
  weights_[key] = shared;
  out_bytes = shared->bytes;
  keep(shared);
  return shared;
}

void Residents::keep(const std::shared_ptr<LoadedWeight>& weight) {
  if (most_kept_ == 0) return;
  const auto known = places_.find(weight.get());
  if (known != places_.end()) {
    kept_.splice(kept_.begin(), kept_, known->second);
    return;
  }
  kept_.push_front(weight);
  places_[weight.get()] = kept_.begin();
  kept_bytes_ += weight->bytes;
  while (kept_bytes_ > most_kept_) {
    kept_bytes_ -= kept_.back()->bytes;
    places_.erase(kept_.back().get());
    kept_.pop_back();
  }
}

Result<std::shared_ptr<KvPool>> Residents::kv_pool(Device& device,
                                                   uint32_t index,
                                                   const tsr_kv_desc& desc,
                                                   uint64_t& out_bytes) {
  out_bytes = 0;
  const std::string key =
      on_device(device, fmt::format("{}|{}", index, desc.format));
  if (auto known = find_in(pools_, key)) return known;
  TSR_ASSIGN_OR_RETURN(KvPool pool, device.create_kv_pool(desc));
  auto shared = std::make_shared<KvPool>(std::move(pool));
  pools_[key] = shared;
  out_bytes = shared->bytes();
  return shared;
}

std::shared_ptr<LoadedConstant> Residents::find_constant(
    const ConstantKey& key) const {
  if (shared_ != nullptr && !key.source.empty()) {
    return shared_->find_constant(key);
  }
  return find_in(constants_, text_of(key));
}

void Residents::put_constant(const ConstantKey& key,
                             const std::shared_ptr<LoadedConstant>& constant) {
  if (shared_ != nullptr && !key.source.empty()) {
    return shared_->put_constant(key, constant);
  }
  constants_[text_of(key)] = constant;
}

}  // namespace tessera
