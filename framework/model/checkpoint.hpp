// SPDX-License-Identifier: Apache-2.0
//
// The tensors of a Hugging Face model folder, whether they lie in one
// safetensors file or in many.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/model/gguf/gguf.hpp"
#include "framework/model/safetensors.hpp"

namespace tessera {

class Checkpoint {
 public:
  // Maps `folder`/model.safetensors, or else the shards that
  // `folder`/model.safetensors.index.json lists.
  //
  // If there is a folder part0-of-1, they are in there.
  //
  // A metadata entry "a" -> "b" where b is a tensor and a is not makes `a`
  // another name of b: how tied tensors are stored once.
  //
  // Errors  NOT_FOUND if neither file is there, or a shard, or a tensor in the
  //         shard that the index names
  //         INVALID_ARGUMENT if a file is damaged or a shard's name is a path
  //         FAILED_PRECONDITION if the parts are those of more than one rank
  static Result<Checkpoint> open(const std::string& folder);

  // The tensors of a GGUF file under other names.
  // Requires  `views` point into what `file` has mapped.
  static Checkpoint of_gguf(Gguf file, std::vector<TensorView> views);

  // The tensor of that name or alias; null if there is none.  Valid, also after
  // a move, until this is destroyed.
  const TensorView* find(std::string_view name) const;

  // Every stored tensor once, sorted by name, without aliases.
  std::vector<const TensorView*> tensors() const;

  // Other names of stored tensors.
  const std::map<std::string, std::string, std::less<>>& aliases() const {
    return aliases_;
  }

  // Stored bytes of all tensors.
  uint64_t bytes() const;

 private:
  std::vector<Safetensors> shards_;
  std::optional<Gguf> gguf_;  // what renamed_ points into
  std::vector<TensorView> renamed_;
  std::map<std::string_view, const TensorView*> tensors_;
  std::map<std::string, std::string, std::less<>> aliases_;
};

// The weight_map of an index file: tensor name -> shard file name.
// Errors  INVALID_ARGUMENT if the text is not such an index or a shard's name
//         is not a plain file name.
Result<std::map<std::string, std::string>> parse_shard_index(
    std::string_view text, const std::string& source);

}  // namespace tessera
