// SPDX-License-Identifier: Apache-2.0
//
// Where the numbers of a graph come from: a checkpoint, seen by name.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera {

// Numbers as they lie in a file: row-major, little endian, any alignment.
struct SourceTensor {
  uint32_t dtype = 0;  // TSR_F32, TSR_F16 or TSR_BF16
  std::vector<uint64_t> shape;
  std::span<const std::byte> bytes;
};

// Finds a tensor by its name in the file; the bytes outlive the source's user.
// Errors: NOT_FOUND, naming the tensor.
using WeightSource =
    std::function<Result<SourceTensor>(const std::string& name)>;

}  // namespace tessera
