// SPDX-License-Identifier: Apache-2.0
//
// What stages of one session hold in common: a weight, a table or a KV cache
// that prefill and decode use on the same device is there once.

#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "framework/base/status.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/host/device/device.hpp"
#include "framework/runtime/weight_loader.hpp"

namespace tessera {

// A table, and where in its buffer it begins.
struct LoadedConstant {
  Buffer buffer;
  uint64_t offset = 0;
};

// Remembers what is loaded as long as anybody uses it, or longer.
class Residents {
 public:
  // shared   whose weights, and tables of files, sessions of one model have in
  //          common; null: they are this one's own.  KV caches always are
  // rounded  what weights are loaded from, or null
  // Both outlive it.
  explicit Residents(Residents* shared = nullptr,
                     RoundedWeights* rounded = nullptr)
      : shared_(shared), rounded_(rounded) {}

  // From now on weights stay, those that were asked for last, until together
  // they are more than `max_bytes`.  Devices outlive this.
  void keep_weights(uint64_t max_bytes) { most_kept_ = max_bytes; }

  // Sets `out_bytes` to what was newly loaded, 0 if it was there.
  // Errors: those of load_weight().
  Result<std::shared_ptr<LoadedWeight>> weight(Device& device,
                                               const GraphWeight& weight,
                                               const LinearChoice& choice,
                                               const WeightSource& source,
                                               uint64_t& out_bytes);

  // The cache of graph KV cache `index`.
  // Errors: those of Device::create_kv_pool().
  Result<std::shared_ptr<KvPool>> kv_pool(Device& device, uint32_t index,
                                          const tsr_kv_desc& desc,
                                          uint64_t& out_bytes);

  // What is known of a constant by its name in the file or, without one, its
  // index in the graph.
  struct ConstantKey {
    const Device& device;
    std::string source;
    uint32_t graph_tensor = 0;
    uint32_t dtype = TSR_DTYPE_NONE;
  };

  // Null if nobody has put it there.
  std::shared_ptr<LoadedConstant> find_constant(const ConstantKey& key) const;
  void put_constant(const ConstantKey& key,
                    const std::shared_ptr<LoadedConstant>& constant);

 private:
  template <typename T>
  using ByKey = std::unordered_map<std::string, std::weak_ptr<T>>;

  Residents* shared_;
  RoundedWeights* rounded_;
  ByKey<LoadedWeight> weights_;
  ByKey<KvPool> pools_;
  ByKey<LoadedConstant> constants_;

  void keep(const std::shared_ptr<LoadedWeight>& weight);

  uint64_t most_kept_ = 0;
  uint64_t kept_bytes_ = 0;
  std::list<std::shared_ptr<LoadedWeight>> kept_;  // last asked for in front
  std::unordered_map<const LoadedWeight*, decltype(kept_)::iterator> places_;
};

}  // namespace tessera
