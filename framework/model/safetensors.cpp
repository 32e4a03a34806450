// SPDX-License-Identifier: Apache-2.0

#include "framework/model/safetensors.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "framework/model/json_document.hpp"
#include "framework/model/json_object.hpp"

namespace tessera {
namespace {

using nlohmann::json;

// The reference reader's limit, so that a damaged length is refused early.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kLengthBytes = sizeof(uint64_t);
constexpr size_t kMaxRank = 16;

struct FileType {
  const char* name;
  uint32_t bits;
  uint32_t dtype;
};

// Source: huggingface/safetensors, safetensors/src/tensor.rs, enum Dtype.
constexpr FileType kFileTypes[] = {
    {"F32", 32, TSR_F32},
    {"F16", 16, TSR_F16},
    {"BF16", 16, TSR_BF16},
    {"I32", 32, TSR_I32},
    {"I8", 8, TSR_I8},
    {"U8", 8, TSR_U8},
    {"F8_E4M3", 8, TSR_F8E4M3},
    {"F8_E5M2", 8, TSR_F8E5M2},
    {"F8_E8M0", 8, TSR_E8M0},
    {"F4", 4, TSR_F4E2M1},
    {"I64", 64, TSR_I64},
    {"BOOL", 8, TSR_DTYPE_NONE},
    {"F64", 64, TSR_DTYPE_NONE},
    {"I16", 16, TSR_DTYPE_NONE},
    {"U16", 16, TSR_DTYPE_NONE},
    {"U32", 32, TSR_DTYPE_NONE},
    {"U64", 64, TSR_DTYPE_NONE},
    {"C64", 64, TSR_DTYPE_NONE},
    {"F6_E2M3", 6, TSR_DTYPE_NONE},
    {"F6_E3M2", 6, TSR_DTYPE_NONE},
};

const FileType* find_type(std::string_view name) {
  const auto it =
      std::find_if(std::begin(kFileTypes), std::end(kFileTypes),
                   [name](const FileType& type) { return name == type.name; });
  return it == std::end(kFileTypes) ? nullptr : it;
}

struct Entry {
  TensorView view;
  uint64_t begin = 0;
  uint64_t end = 0;
};

// What the file says: no bytes touched yet, no size believed yet.
struct Header {
  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;
};

// Bytes of the tensor; nothing if the product overflows or ends inside a byte.
std::optional<uint64_t> tensor_bytes(std::span<const uint64_t> shape,
                                     uint32_t bits) {
  uint64_t product = bits;
  for (const uint64_t extent : shape) {
    if (__builtin_mul_overflow(product, extent, &product)) return {};
  }
  if (product % 8 != 0) return {};
  return product / 8;
}

Result<std::vector<uint64_t>> read_counts(const JsonObject& tensor,
                                          const std::string& key) {
  TSR_ASSIGN_OR_RETURN(const json* const list, tensor.array(key));
  if (list == nullptr) return tensor.error(key, "is missing");
  std::vector<uint64_t> counts;
  for (const json& item : *list) {
    if (!item.is_number_unsigned()) {
      return tensor.error(
          key, fmt::format("holds {}, expected counts", item.type_name()));
    }
    counts.push_back(item.get<uint64_t>());
  }
  return counts;
}

Result<Entry> read_entry(const std::string& name, const json& value,
                         const std::string& source) {
  TSR_ASSIGN_OR_RETURN(
      const JsonObject tensor,
      JsonObject::from(value, fmt::format("{}: tensor {}", source, name)));
  Entry entry;
  entry.view.name = name;
  TSR_ASSIGN_OR_RETURN(entry.view.dtype_name, tensor.string("dtype"));
  const FileType* const type = find_type(entry.view.dtype_name);
  if (type == nullptr) {
    return tensor.error("dtype",
                        fmt::format("{} is unknown", entry.view.dtype_name));
  }
  entry.view.dtype = type->dtype;
  TSR_ASSIGN_OR_RETURN(entry.view.shape, read_counts(tensor, "shape"));
  if (entry.view.shape.size() > kMaxRank) {
    return tensor.error("shape",
                        fmt::format("has {} axes, more than {}",
                                    entry.view.shape.size(), kMaxRank));
  }
  TSR_ASSIGN_OR_RETURN(const std::vector<uint64_t> offsets,
                       read_counts(tensor, "data_offsets"));
  if (offsets.size() != 2 || offsets[0] > offsets[1]) {
    return tensor.error("data_offsets", "is not [begin, end]");
  }
  entry.begin = offsets[0];
  entry.end = offsets[1];
  const std::optional<uint64_t> bytes =
      tensor_bytes(entry.view.shape, type->bits);
  if (!bytes || *bytes != entry.end - entry.begin) {
    return tensor.error(
        "data_offsets",
        fmt::format("hold {} bytes, which is not {} {}",
                    entry.end - entry.begin, entry.view.dtype_name,
                    shape_text(entry.view.shape)));
  }
  return entry;
}

Result<std::map<std::string, std::string>> read_metadata(
    const json& value, const std::string& source) {
  if (!value.is_object()) {
    return Status(TSR_INVALID_ARGUMENT,
                  source + ": __metadata__ is not an object");
  }
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) {
      return Status(
          TSR_INVALID_ARGUMENT,
          fmt::format("{}: __metadata__ {} is not a string", source, key));
    }
    metadata.emplace(key, text.get<std::string>());
  }
  return metadata;
}

Result<Header> read_header(std::string_view text, const std::string& source) {
  TSR_ASSIGN_OR_RETURN(const json document, parse_json(text, source));
  if (!document.is_object()) {
    return Status(TSR_INVALID_ARGUMENT,
                  source + ": the header is not an object");
  }
  Header header;
  for (const auto& [name, value] : document.items()) {
    if (name == "__metadata__") {
      TSR_ASSIGN_OR_RETURN(header.metadata, read_metadata(value, source));
      continue;
    }
    TSR_ASSIGN_OR_RETURN(Entry entry, read_entry(name, value, source));
    header.entries.push_back(std::move(entry));
  }
  return header;
}

// The tensors, in the order of their offsets, must cover the data exactly.
Status check_cover(std::vector<Entry>& entries, uint64_t data_bytes,
                   const std::string& source) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t covered = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != covered) {
      return Status(
          TSR_INVALID_ARGUMENT,
          fmt::format("{}: tensor {} begins at {}, but the one before it ends "
                      "at {}",
                      source, entry.view.name, entry.begin, covered));
    }
    covered = entry.end;
  }
  if (covered != data_bytes) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("{}: the tensors end at {}, but the file has {} "
                              "bytes of data",
                              source, covered, data_bytes));
  }
  return {};
}

Result<uint64_t> header_length(std::span<const std::byte> bytes,
                               const std::string& source) {
  if (bytes.size() < kLengthBytes) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("{}: {} bytes are too few for a safetensors file",
                              source, bytes.size()));
  }
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kMaxHeaderBytes || length > bytes.size() - kLengthBytes) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("{}: a header of {} bytes in a file of {} bytes "
                              "(at most {} are allowed)",
                              source, length, bytes.size(), kMaxHeaderBytes));
  }
  return length;
}

}  // namespace

std::string shape_text(std::span<const uint64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

Result<Safetensors> Safetensors::parse(std::span<const std::byte> bytes,
                                       const std::string& source) {
  TSR_ASSIGN_OR_RETURN(const uint64_t length, header_length(bytes, source));
  const std::string_view text(
      reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length);
  const std::span<const std::byte> data = bytes.subspan(kLengthBytes + length);
  TSR_ASSIGN_OR_RETURN(Header header, read_header(text, source));
  TSR_RETURN_IF_ERROR(check_cover(header.entries, data.size(), source));

  Safetensors file;
  file.metadata_ = std::move(header.metadata);
  for (Entry& entry : header.entries) {
    entry.view.data = data.subspan(entry.begin, entry.end - entry.begin);
    file.tensors_.push_back(std::move(entry.view));
  }
  std::sort(
      file.tensors_.begin(), file.tensors_.end(),
      [](const TensorView& a, const TensorView& b) { return a.name < b.name; });
  return file;
}

Result<Safetensors> Safetensors::open(const std::string& path) {
  TSR_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(path));
  TSR_ASSIGN_OR_RETURN(Safetensors file, parse(mapped.bytes(), path));
  file.file_ = std::move(mapped);
  return file;
}

const TensorView* Safetensors::find(std::string_view name) const {
  const auto it = std::lower_bound(
      tensors_.begin(), tensors_.end(), name,
      [](const TensorView& view, std::string_view n) { return view.name < n; });
  return it == tensors_.end() || it->name != name ? nullptr : &*it;
}

}  // namespace tessera
