// SPDX-License-Identifier: Apache-2.0
//
// What the quantization_config of a compressed-tensors folder says about the
// linears of each group.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/scheme.hpp"
#include "framework/model/json_object.hpp"
#include "framework/model/tokenizer/regex.hpp"

namespace tessera {

// The format of a group of E2M1 codes with float scales.  Tessera's own, made
// after nvfp4-pack-quantized: no published format holds such a weight.
inline constexpr const char* kCompressedFp4 = "fp4-pack-quantized";

struct CompressedGroup {
  std::vector<std::string> names;  // of modules, or classes of them
  std::vector<Regex> patterns;
  LinearChoice choice;
  uint32_t bits = 0;
  bool per_tensor = false;
  bool symmetric_input = true;
};

// The groups of config_groups, sorted by name.
//
// Errors  INVALID_ARGUMENT for a field of another type; UNIMPLEMENTED, naming
//         it, for a num_bits, type, strategy or sparsity that is not read
Result<std::vector<CompressedGroup>> read_compressed_groups(
    const JsonObject& config);

// The group whose targets have `module`; null if none has.  A name goes before
// a pattern, a pattern before the class Linear.
const CompressedGroup* find_compressed_group(
    const std::vector<CompressedGroup>& groups, const std::string& module);

}  // namespace tessera
