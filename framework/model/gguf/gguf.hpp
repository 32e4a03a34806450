// SPDX-License-Identifier: Apache-2.0
//
// One GGUF file, version 2 or 3: metadata and named tensors, mapped, never
// copied.
//
//   magic "GGUF" | u32 version | u64 tensors | u64 keys
//   keys     string key, u32 type, value
//   tensors  string name, u32 rank, u64 extents[rank] fastest first, u32 type,
//            u64 offset
//   zeros up to general.alignment, then the data; offsets count from here
//
// Source: ggml, docs/gguf.md.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "framework/base/mapped_file.hpp"
#include "framework/base/status.hpp"

namespace tessera {

// A scalar, or an array of one type; integers of any width are i64 or, where
// they do not fit, u64.
using GgufValue = std::variant<int64_t, uint64_t, double, bool, std::string,
                               std::vector<int64_t>, std::vector<uint64_t>,
                               std::vector<double>, std::vector<bool>,
                               std::vector<std::string>>;

// What is known of a tensor type; a type has a dtype or a weight format.
struct GgufType {
  uint32_t id = 0;  // in the file
  const char* name = nullptr;
  uint32_t values = 1;  // per block
  uint32_t bytes = 0;   // per block
  uint32_t dtype = 0;   // TSR_F32 ...; 0 if it is none of these
  uint32_t format = 0;  // TSR_WEIGHT_*; 0 if Tessera has none
};

// Null for an unknown type.
const GgufType* find_gguf_type(uint32_t id);

// The type that holds a TSR_WEIGHT_*, floats too; null if none does.
const GgufType* find_gguf_type_of(uint32_t weight_format);

struct GgufTensor {
  std::string name;
  const GgufType* type = nullptr;
  std::vector<uint64_t> shape;  // row-major: the slowest axis first
  std::span<const std::byte> data;
};

class Gguf {
 public:
  // Maps the file and reads what stands before the data.
  //
  // Errors  NOT_FOUND if the file cannot be opened
  //         INVALID_ARGUMENT, naming the key or tensor, if a field is damaged,
  //         a name comes twice, or tensors overlap or leave the file
  //         UNIMPLEMENTED for another version or an unknown tensor type
  static Result<Gguf> open(const std::string& path);

  // The same over bytes that outlive the result.  `source` names them.
  static Result<Gguf> parse(std::span<const std::byte> bytes,
                            const std::string& source);

  // In the order of the file.
  const std::vector<GgufTensor>& tensors() const { return tensors_; }

  // Null if there is no such key.
  const GgufValue* find(std::string_view key) const;

  // Errors  INVALID_ARGUMENT, naming file and key, if the value is missing
  //         without a fallback, or of another type
  Result<int64_t> integer(const std::string& key,
                          std::optional<int64_t> fallback = {}) const;
  Result<double> number(const std::string& key,
                        std::optional<double> fallback = {}) const;
  Result<bool> boolean(const std::string& key, bool fallback) const;
  Result<std::string> string(const std::string& key,
                             std::optional<std::string> fallback = {}) const;

  const std::string& source() const { return source_; }

 private:
  friend class GgufParser;

  std::optional<MappedFile> file_;  // what the views of open() point into
  std::string source_;
  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::vector<GgufTensor> tensors_;
};

}  // namespace tessera
