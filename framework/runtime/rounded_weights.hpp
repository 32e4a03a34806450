// SPDX-License-Identifier: Apache-2.0
//
// Keeps what the values of files were rounded to, so that a weight that is
// loaded again only has to be packed.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "framework/base/status.hpp"
#include "framework/format/weight.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/runtime/lowering.hpp"

namespace tessera {

class ThreadPool;

// "layers.0.self_attn.q_proj" and all that decides what it is rounded to: one
// text for what is one weight.
std::string weight_key(const GraphWeight& weight, const LinearChoice& choice);

// Of one model.  One thread at a time.
class RoundedWeights {
 public:
  // max_bytes  that are kept; what comes later is rounded each time
  explicit RoundedWeights(uint64_t max_bytes) : max_bytes_(max_bytes) {}

  // As read_weight().
  Result<std::shared_ptr<const format::WeightData>> read(
      const GraphWeight& weight, const LinearChoice& choice,
      const WeightSource& source, ThreadPool* pool = nullptr);

  // What a device reads where it lies must be another copy in another load.
  void forget(const GraphWeight& weight, const LinearChoice& choice);

  // Of what is kept.
  uint64_t bytes() const { return bytes_; }

 private:
  uint64_t max_bytes_;
  uint64_t bytes_ = 0;
  std::unordered_map<std::string, std::shared_ptr<const format::WeightData>>
      kept_;
};

}  // namespace tessera
