// SPDX-License-Identifier: Apache-2.0
//
// Reads what a GGUF file says before its data, believing no field of it.

#pragma once

#include <cstring>

#include "framework/model/gguf/gguf.hpp"

namespace tessera {

class GgufParser {
 public:
  GgufParser(std::span<const std::byte> bytes, std::string source)
      : bytes_(bytes), source_(std::move(source)) {}

  // Requires: called once.
  Result<Gguf> parse();

 private:
  // What parse() finds of a tensor before it knows where the data begin.
  struct Entry {
    GgufTensor tensor;
    uint64_t offset = 0;
    uint64_t bytes = 0;
  };

  Status error(const std::string& problem) const;
  Status read_bytes(void* out, uint64_t count);
  template <typename T>
  Result<T> read();
  Result<std::string> read_string();
  Result<GgufValue> read_value(uint32_t type);
  Result<GgufValue> read_array();
  template <typename Stored, typename Kept>
  Result<GgufValue> read_numbers(uint64_t count);
  Status read_metadata(uint64_t count);
  Result<Entry> read_entry();
  Status read_tensors(uint64_t count);
  Status place_tensors();

  std::span<const std::byte> bytes_;
  std::string source_;
  uint64_t at_ = 0;
  Gguf file_;
  std::vector<Entry> entries_;
};

}  // namespace tessera
