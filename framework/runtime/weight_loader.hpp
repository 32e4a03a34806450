// SPDX-License-Identifier: Apache-2.0
//
// Brings one weight from a file to a device, rounded to the plan's format on
// the way.  Nothing larger than the weight itself is held meanwhile.

#pragma once

#include <cstdint>
#include <memory>

#include "framework/base/status.hpp"
#include "framework/format/weight.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/host/device/device.hpp"
#include "framework/runtime/lowering.hpp"
#include "framework/runtime/rounded_weights.hpp"

namespace tessera {

// The weight in the format that `choice` asks for, encoded from the file's
// values unless the file has it so.  Borrows the file's bytes where it can.
//
// Errors  those of the source and of the encoder; INVALID_ARGUMENT if the
//         file's tensor is not [N, K] of a float type; FAILED_PRECONDITION for
//         static activations that the file has no scales for; UNIMPLEMENTED
//         for some rows of a weight whose rows are not rounded each by itself
// Threads those of `pool`, if it is given, round
Result<format::WeightData> read_weight(const GraphWeight& weight,
                                       const LinearChoice& choice,
                                       const WeightSource& source,
                                       ThreadPool* pool = nullptr);

struct LoadedWeight {
  // What the device reads in place; null if it needs nothing of the host's.
  std::shared_ptr<const format::WeightData> kept;  // outlives `weight`
  Weight weight;
  uint64_t bytes = 0;  // packed, or raw where the device reads it in place
};

// rounded  where what it is rounded to is looked for and kept, or null
Result<LoadedWeight> load_weight(Device& device, const GraphWeight& weight,
                                 const LinearChoice& choice,
                                 const WeightSource& source,
                                 RoundedWeights* rounded = nullptr);

}  // namespace tessera
