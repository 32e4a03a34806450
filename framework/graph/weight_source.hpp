// SPDX-License-Identifier: Apache-2.0
//
// Where the numbers of a graph come from: a checkpoint, seen by name.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/scheme.hpp"
#include "framework/format/weight.hpp"
#include "framework/graph/graph.hpp"

namespace tessera {

// Numbers as they lie in a file: row-major, little endian, any alignment.
struct SourceTensor {
  uint32_t dtype = 0;  // TSR_F32, TSR_F16 or TSR_BF16
  std::vector<uint64_t> shape;
  std::span<const std::byte> bytes;
  // Holds `bytes` where they were decoded from something else; else null.
  std::shared_ptr<const std::vector<std::byte>> owner;
};

struct WeightSource {
  // Finds a tensor by its name in the file; bytes without an owner outlive the
  // source's user.  Of a quantized tensor, its values.
  // Errors: NOT_FOUND, naming the tensor.
  std::function<Result<SourceTensor>(const std::string& name)> tensor;

  // Sources that have only plain floats leave the rest empty.

  // How the file stores a weight, if not in plain floats.  Reads no numbers.
  std::function<std::optional<LinearChoice>(const std::string& name)>
      stored_choice;

  // The weight itself.
  // Requires: stored_choice(name) has a value.
  std::function<Result<format::WeightData>(const std::string& name)> stored;

  // Static scales of a layer's attention, if the file has some.
  std::function<std::optional<AttentionScales>(uint32_t layer)> attention;
};

// Notes in every weight and KV cache of the graph how `source` has it.
void mark_stored(const WeightSource& source, Graph& graph);

}  // namespace tessera
