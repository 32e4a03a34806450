// SPDX-License-Identifier: Apache-2.0
//
// How many bytes a model takes in a scheme, by arithmetic alone.

#pragma once

#include <cstdint>

#include "framework/base/status.hpp"
#include "framework/format/scheme.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/runtime/lowering.hpp"

namespace tessera::cli {

struct ModelSize {
  uint64_t parameters = 0;    // a tied tensor counts once
  uint64_t weight_bytes = 0;  // scales included; a tied tensor counts once if
                              // both uses hold it in the same type

  // Source  numerics.md section 4
  double bits_per_weight() const;
};

// What is stored of `graph` in `scheme`; a device's packing may add to it.
// Errors  those of `source`; INVALID_ARGUMENT, naming the weight, if the format
//         cannot hold it
Result<ModelSize> model_size(const Graph& graph, const WeightSource& source,
                             const Scheme& scheme);

// What every product's weight is stored in: all that one token's step reads of
// the weights, but for its row of the embedding and the norms'.
// Errors  as model_size
Result<uint64_t> product_bytes(const Graph& graph, const Scheme& scheme);

// All planes of a weight [N, K].
// Errors  INVALID_ARGUMENT if the format's blocks do not divide K;
//         UNIMPLEMENTED for a format that cannot be encoded
Result<uint64_t> encoded_bytes(const LinearChoice& choice, uint32_t N,
                               uint32_t K);

// The KV cache of one sequence of `tokens`, in blocks of `block_size`, as
// tessera/types.h draws them.
Result<uint64_t> kv_cache_bytes(const Graph& graph, uint32_t kv_format,
                                uint64_t tokens, uint32_t block_size);

}  // namespace tessera::cli
