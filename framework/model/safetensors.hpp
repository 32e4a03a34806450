// SPDX-License-Identifier: Apache-2.0
//
// One safetensors file: named tensors, mapped, never copied.
//
//   0        u64 header_bytes, little endian
//   8        header_bytes of JSON:
//            {"__metadata__": {"key": "text"},
//             "name": {"dtype": "F32", "shape": [2, 3],
//                      "data_offsets": [begin, end]}, ...}
//   8 + header_bytes   the data; offsets count from here
//
// Source: huggingface/safetensors, README.md, "Format".

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/mapped_file.hpp"
#include "framework/base/status.hpp"

namespace tessera {

struct TensorView {
  std::string name;
  uint32_t dtype = TSR_DTYPE_NONE;  // NONE where Tessera has no such type
  std::string dtype_name;           // as the file spells it: "BF16", "BOOL"
  std::vector<uint64_t> shape;      // row-major; empty for a scalar
  // At any address: the format asks for no alignment, so read with memcpy.
  std::span<const std::byte> data;
  // Of a matrix in GGUF blocks: TSR_WEIGHT_Q4_0 ...; else 0.
  uint32_t weight_format = 0;
  float tensor_scale = 1.0f;  // multiplies the blocks of NVFP4
  // Rows are those of this many heads, in each of which the two numbers that
  // RoPE rotates together are neighbours: as GGUF has q and k of Llama.  0: as
  // in a Hugging Face folder.
  uint32_t rope_heads = 0;
};

class Safetensors {
 public:
  // Maps the file and reads its header; the data is not touched.
  //
  // Errors  NOT_FOUND if the file cannot be opened
  //         INVALID_ARGUMENT, naming the tensor, if the header is not as above,
  //         a size disagrees with a shape, or the tensors overlap, leave holes
  //         or do not end where the file ends
  static Result<Safetensors> open(const std::string& path);

  // The same over bytes that outlive the result.  `source` names them.
  static Result<Safetensors> parse(std::span<const std::byte> bytes,
                                   const std::string& source);

  // Sorted by name.  Valid, also after a move, until this is destroyed.
  const std::vector<TensorView>& tensors() const { return tensors_; }

  // Null if there is no such tensor.
  const TensorView* find(std::string_view name) const;

  const std::map<std::string, std::string>& metadata() const {
    return metadata_;
  }

 private:
  std::optional<MappedFile> file_;  // what the views of open() point into
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

// "[2, 3]".
std::string shape_text(std::span<const uint64_t> shape);

}  // namespace tessera
