// SPDX-License-Identifier: Apache-2.0
//
// A tensor on its way into a file.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "framework/model/safetensors_writer.hpp"

namespace tessera {

struct NamedTensor {
  PlannedTensor plan;
  std::vector<std::byte> bytes;
};

// A tensor with the values' own bytes.
template <typename T>
NamedTensor make_tensor(std::string name, uint32_t dtype,
                        std::vector<uint64_t> shape,
                        std::span<const T> values) {
  const auto bytes = std::as_bytes(values);
  return {{std::move(name), dtype, std::move(shape)},
          {bytes.begin(), bytes.end()}};
}

}  // namespace tessera
