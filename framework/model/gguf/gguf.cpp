// SPDX-License-Identifier: Apache-2.0

#include "framework/model/gguf/gguf.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "framework/model/gguf/parser.hpp"
#include "tessera/types.h"

namespace tessera {
namespace {

// Source: ggml, include/ggml.h, enum ggml_type.
constexpr GgufType kTypes[] = {
    {0, "F32", 1, 4, TSR_F32, 0},
    {1, "F16", 1, 2, TSR_F16, 0},
    {2, "Q4_0", 32, 18, 0, TSR_WEIGHT_Q4_0},
    {3, "Q4_1", 32, 20, 0, TSR_WEIGHT_Q4_1},
    {6, "Q5_0", 32, 22, 0, TSR_WEIGHT_Q5_0},
    {7, "Q5_1", 32, 24, 0, TSR_WEIGHT_Q5_1},
    {8, "Q8_0", 32, 34, 0, TSR_WEIGHT_Q8_0},
    {10, "Q2_K", 256, 84, 0, TSR_WEIGHT_Q2_K},
    {11, "Q3_K", 256, 110, 0, TSR_WEIGHT_Q3_K},
    {12, "Q4_K", 256, 144, 0, TSR_WEIGHT_Q4_K},
    {13, "Q5_K", 256, 176, 0, TSR_WEIGHT_Q5_K},
    {14, "Q6_K", 256, 210, 0, TSR_WEIGHT_Q6_K},
    {20, "IQ4_NL", 32, 18, 0, TSR_WEIGHT_IQ4_NL},
    {24, "I8", 1, 1, TSR_I8, 0},
    {25, "I16", 1, 2, 0, 0},
    {26, "I32", 1, 4, TSR_I32, 0},
    {27, "I64", 1, 8, TSR_I64, 0},
    {28, "F64", 1, 8, 0, 0},
    {30, "BF16", 1, 2, TSR_BF16, 0},
    {39, "MXFP4", 32, 17, 0, TSR_WEIGHT_MXFP4},
    {40, "NVFP4", 64, 36, 0, TSR_WEIGHT_NVFP4},
};

Status wrong_type(const std::string& source, const std::string& key,
                  const char* expected) {
  return {TSR_INVALID_ARGUMENT,
          fmt::format("{}: {} is not {}", source, key, expected)};
}

Status missing(const std::string& source, const std::string& key) {
  return {TSR_INVALID_ARGUMENT, fmt::format("{}: no key {}", source, key)};
}

}  // namespace

const GgufType* find_gguf_type(uint32_t id) {
  const auto it =
      std::find_if(std::begin(kTypes), std::end(kTypes),
                   [id](const GgufType& type) { return type.id == id; });
  return it == std::end(kTypes) ? nullptr : it;
}

const GgufType* find_gguf_type_of(uint32_t weight_format) {
  uint32_t dtype = 0;
  if (weight_format == TSR_WEIGHT_F32) dtype = TSR_F32;
  if (weight_format == TSR_WEIGHT_F16) dtype = TSR_F16;
  if (weight_format == TSR_WEIGHT_BF16) dtype = TSR_BF16;
  const auto it = std::find_if(
      std::begin(kTypes), std::end(kTypes), [&](const GgufType& type) {
        return dtype != 0 ? type.dtype == dtype
                          : type.format != 0 && type.format == weight_format;
      });
  return it == std::end(kTypes) ? nullptr : it;
}

Result<Gguf> Gguf::parse(std::span<const std::byte> bytes,
                         const std::string& source) {
  return GgufParser(bytes, source).parse();
}

Result<Gguf> Gguf::open(const std::string& path) {
  TSR_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(path));
  TSR_ASSIGN_OR_RETURN(Gguf file, parse(mapped.bytes(), path));
  file.file_ = std::move(mapped);
  return file;
}

const GgufValue* Gguf::find(std::string_view key) const {
  const auto it = metadata_.find(key);
  return it == metadata_.end() ? nullptr : &it->second;
}

Result<int64_t> Gguf::integer(const std::string& key,
                              std::optional<int64_t> fallback) const {
  const GgufValue* const value = find(key);
  if (value == nullptr) {
    if (fallback) return *fallback;
    return missing(source_, key);
  }
  if (const auto* number = std::get_if<int64_t>(value)) return *number;
  return wrong_type(source_, key, "an integer");
}

Result<double> Gguf::number(const std::string& key,
                            std::optional<double> fallback) const {
  const GgufValue* const value = find(key);
  if (value == nullptr) {
    if (fallback) return *fallback;
    return missing(source_, key);
  }
  if (const auto* number = std::get_if<double>(value)) return *number;
  if (const auto* whole = std::get_if<int64_t>(value)) {
    return static_cast<double>(*whole);
  }
  return wrong_type(source_, key, "a number");
}

Result<bool> Gguf::boolean(const std::string& key, bool fallback) const {
  const GgufValue* const value = find(key);
  if (value == nullptr) return fallback;
  if (const auto* flag = std::get_if<bool>(value)) return *flag;
  return wrong_type(source_, key, "a truth value");
}

Result<std::string> Gguf::string(const std::string& key,
                                 std::optional<std::string> fallback) const {
  const GgufValue* const value = find(key);
  if (value == nullptr) {
    if (fallback) return *fallback;
    return missing(source_, key);
  }
  if (const auto* text = std::get_if<std::string>(value)) return *text;
  return wrong_type(source_, key, "a string");
}

}  // namespace tessera
