// SPDX-License-Identifier: Apache-2.0
//
// Planes into the tensors and the config of compressed-tensors; the layout is
// that of compressed_tensors_layout.hpp.

#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/scheme.hpp"
#include "framework/format/weight.hpp"
#include "framework/model/layouts/named_tensor.hpp"

namespace tessera {

// How one linear was written, as the config has to say it.
struct CompressedLinear {
  LinearChoice choice;
  bool per_tensor = false;
  bool symmetric_input = true;  // static activations only
  bool has_column_order = false;

  bool operator==(const CompressedLinear&) const = default;
};

// "pack-quantized" and the like.
// Errors  UNIMPLEMENTED if compressed-tensors has no format for the choice
Result<std::string> compressed_format(const LinearChoice& choice);

struct CompressedTensors {
  CompressedLinear linear;
  std::vector<NamedTensor> tensors;
};

// The tensors of a linear.
// Errors  those of compressed_format(), and UNIMPLEMENTED if a plane has no
//         place in it
Result<CompressedTensors> write_compressed_linear(
    const std::string& module, const format::WeightData& weight,
    const LinearChoice& choice);

// The quantization_config of a model whose modules `linears` are quantized and
// whose linears `ignored` are not.
nlohmann::json compressed_config(
    const std::map<std::string, CompressedLinear>& linears,
    const std::vector<std::string>& ignored);

}  // namespace tessera
