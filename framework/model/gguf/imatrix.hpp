// SPDX-License-Identifier: Apache-2.0
//
// llama.cpp's importance matrices: how large the inputs of each linear are, by
// column, so that an encoder errs where it matters least.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/config.hpp"

namespace tessera {

// Mean squared inputs, one per column, by the names of layer_tensor_names().
using Importance = std::map<std::string, std::vector<float>>;

// Reads the file in either form:
//
//   GGUF    tensors <name>.in_sum2 F32 [1, K] and <name>.counts F32 [1]
//   legacy  i32 entries, each i32 length, name, i32 calls, i32 K, f32[K] sums;
//           what follows is not read
//
// The values are sums / counts; 1 where nothing was counted.
//
// Errors  NOT_FOUND if the file cannot be opened
//         INVALID_ARGUMENT, naming file and entry, if it is damaged, has a
//         name, a size or a number that the model cannot have, or lacks a block
//         linear
// Source  llama.cpp, common/imatrix-loader.cpp
Result<Importance> read_imatrix(const std::string& path,
                                const ModelConfig& config);

}  // namespace tessera
