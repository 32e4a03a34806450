// SPDX-License-Identifier: Apache-2.0

#include "framework/model/gguf/parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <set>

namespace tessera {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr uint32_t kArray = 9;
constexpr uint64_t kMaxKeyBytes = 65535;
constexpr uint64_t kMaxNameBytes = 65535;  // ggml's limit is 64; be generous
constexpr uint32_t kMaxRank = 4;
constexpr int64_t kDefaultAlignment = 32;
constexpr int64_t kMaxAlignment = 1 << 20;
// The fewest bytes that a key or a tensor takes, so that a damaged count is
// refused before anything is reserved for it.
constexpr uint64_t kMinKeyBytes = 8 + 4 + 1;
constexpr uint64_t kMinTensorBytes = 8 + 4 + 4 + 8;

}  // namespace

Status GgufParser::error(const std::string& problem) const {
  return {TSR_INVALID_ARGUMENT, source_ + ": " + problem};
}

Status GgufParser::read_bytes(void* out, uint64_t count) {
  if (count > bytes_.size() - at_) {
    return error(
        fmt::format("ends at byte {}, inside a field of {} bytes at {}",
                    bytes_.size(), count, at_));
  }
  std::memcpy(out, bytes_.data() + at_, count);
  at_ += count;
  return {};
}

template <typename T>
Result<T> GgufParser::read() {
  T value{};
  TSR_RETURN_IF_ERROR(read_bytes(&value, sizeof(value)));
  return value;
}

Result<std::string> GgufParser::read_string() {
  TSR_ASSIGN_OR_RETURN(const auto length, read<uint64_t>());
  if (length > bytes_.size() - at_) {
    return error(
        fmt::format("a string of {} bytes at {} leaves the file", length, at_));
  }
  std::string text(length, '\0');
  if (length > 0) TSR_RETURN_IF_ERROR(read_bytes(text.data(), length));
  return text;
}

template <typename Stored, typename Kept>
Result<GgufValue> GgufParser::read_numbers(uint64_t count) {
  if (count > (bytes_.size() - at_) / sizeof(Stored)) {
    return error(
        fmt::format("an array of {} values at {} leaves the file", count, at_));
  }
  std::vector<Kept> values;
  values.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    TSR_ASSIGN_OR_RETURN(const auto value, read<Stored>());
    values.push_back(static_cast<Kept>(value));
  }
  return GgufValue(std::move(values));
}

Result<GgufValue> GgufParser::read_array() {
  TSR_ASSIGN_OR_RETURN(const auto type, read<uint32_t>());
  TSR_ASSIGN_OR_RETURN(const auto count, read<uint64_t>());
  switch (type) {
    case 0:
      return read_numbers<uint8_t, int64_t>(count);
    case 1:
      return read_numbers<int8_t, int64_t>(count);
    case 2:
      return read_numbers<uint16_t, int64_t>(count);
    case 3:
      return read_numbers<int16_t, int64_t>(count);
    case 4:
      return read_numbers<uint32_t, int64_t>(count);
    case 5:
      return read_numbers<int32_t, int64_t>(count);
    case 6:
      return read_numbers<float, double>(count);
    case 7:
      return read_numbers<uint8_t, bool>(count);
    case 10:
      return read_numbers<uint64_t, uint64_t>(count);
    case 11:
      return read_numbers<int64_t, int64_t>(count);
    case 12:
      return read_numbers<double, double>(count);
    case 8:
      break;
    default:
      return error(fmt::format("an array of type {} at {}", type, at_));
  }
  if (count > (bytes_.size() - at_) / sizeof(uint64_t)) {
    return error(fmt::format("an array of {} strings at {} leaves the file",
                             count, at_));
  }
  std::vector<std::string> texts;
  texts.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    TSR_ASSIGN_OR_RETURN(std::string text, read_string());
    texts.push_back(std::move(text));
  }
  return GgufValue(std::move(texts));
}

Result<GgufValue> GgufParser::read_value(uint32_t type) {
  const auto whole = [](auto value) {
    return GgufValue(static_cast<int64_t>(value));
  };
  switch (type) {
    case 0: {
      TSR_ASSIGN_OR_RETURN(const auto value, read<uint8_t>());
      return whole(value);
    }
    case 1: {
      TSR_ASSIGN_OR_RETURN(const auto value, read<int8_t>());
      return whole(value);
    }
    case 2: {
      TSR_ASSIGN_OR_RETURN(const auto value, read<uint16_t>());
      return whole(value);
    }
    case 3: {
      TSR_ASSIGN_OR_RETURN(const auto value, read<int16_t>());
      return whole(value);
    }
    case 4: {
      TSR_ASSIGN_OR_RETURN(const auto value, read<uint32_t>());
      return whole(value);
    }
    case 5: {
      TSR_ASSIGN_OR_RETURN(const auto value, read<int32_t>());
      return whole(value);
    }
    case 6: {
      TSR_ASSIGN_OR_RETURN(const auto value, read<float>());
      return GgufValue(static_cast<double>(value));
    }
    case 7: {
      TSR_ASSIGN_OR_RETURN(const auto value, read<uint8_t>());
      return GgufValue(value != 0);
    }
    case 8: {
      TSR_ASSIGN_OR_RETURN(std::string value, read_string());
      return GgufValue(std::move(value));
    }
    case kArray:
      return read_array();
    case 10: {
      TSR_ASSIGN_OR_RETURN(const auto value, read<uint64_t>());
      if (value > INT64_MAX) return GgufValue(value);
      return whole(value);
    }
    case 11: {
      TSR_ASSIGN_OR_RETURN(const auto value, read<int64_t>());
      return whole(value);
    }
    case 12: {
      TSR_ASSIGN_OR_RETURN(const auto value, read<double>());
      return GgufValue(value);
    }
    default:
      return error(fmt::format("a value of type {} at {}", type, at_));
  }
}

Status GgufParser::read_metadata(uint64_t count) {
  if (count > (bytes_.size() - at_) / kMinKeyBytes) {
    return error(
        fmt::format("{} keys do not fit {} bytes", count, bytes_.size()));
  }
  for (uint64_t i = 0; i < count; ++i) {
    TSR_ASSIGN_OR_RETURN(std::string key, read_string());
    if (key.empty() || key.size() > kMaxKeyBytes) {
      return error(fmt::format("key {} has {} bytes, expected 1 to {}", i,
                               key.size(), kMaxKeyBytes));
    }
    TSR_ASSIGN_OR_RETURN(const auto type, read<uint32_t>());
    Result<GgufValue> value = read_value(type);
    if (!value.ok()) return Status(value.status()).annotate(key);
    if (!file_.metadata_.emplace(key, std::move(*value)).second) {
      return error(fmt::format("key {} comes twice", key));
    }
  }
  return {};
}

Result<GgufParser::Entry> GgufParser::read_entry() {
  Entry entry;
  TSR_ASSIGN_OR_RETURN(entry.tensor.name, read_string());
  const std::string& name = entry.tensor.name;
  TSR_ASSIGN_OR_RETURN(const auto rank, read<uint32_t>());
  if (name.empty() || name.size() > kMaxNameBytes || rank > kMaxRank) {
    return error(
        fmt::format("tensor {} with a name of {} bytes has {} axes, "
                    "more than {}",
                    name.substr(0, 64), name.size(), rank, kMaxRank));
  }
  uint64_t elements = 1;
  for (uint32_t i = 0; i < rank; ++i) {
    TSR_ASSIGN_OR_RETURN(const auto extent, read<uint64_t>());
    if (__builtin_mul_overflow(elements, extent, &elements)) {
      return error(fmt::format("tensor {} is too large", name));
    }
    entry.tensor.shape.insert(entry.tensor.shape.begin(), extent);
  }
  TSR_ASSIGN_OR_RETURN(const auto id, read<uint32_t>());
  TSR_ASSIGN_OR_RETURN(entry.offset, read<uint64_t>());
  const GgufType* const type = find_gguf_type(id);
  if (type == nullptr) {
    return Status(TSR_UNIMPLEMENTED,
                  fmt::format("{}: tensor {} has type {}, which is not "
                              "supported",
                              source_, name, id));
  }
  const uint64_t row = rank == 0 ? 1 : entry.tensor.shape.back();
  if (row % type->values != 0 ||
      __builtin_mul_overflow(elements / type->values, uint64_t{type->bytes},
                             &entry.bytes)) {
    return error(
        fmt::format("tensor {} has rows of {}, no multiple of the {} "
                    "of {}, or is too large",
                    name, row, type->values, type->name));
  }
  entry.tensor.type = type;
  return entry;
}

Status GgufParser::read_tensors(uint64_t count) {
  if (count > (bytes_.size() - at_) / kMinTensorBytes) {
    return error(
        fmt::format("{} tensors do not fit {} bytes", count, bytes_.size()));
  }
  std::set<std::string> names;
  for (uint64_t i = 0; i < count; ++i) {
    TSR_ASSIGN_OR_RETURN(Entry entry, read_entry());
    if (!names.insert(entry.tensor.name).second) {
      return error(fmt::format("tensor {} comes twice", entry.tensor.name));
    }
    entries_.push_back(std::move(entry));
  }
  return {};
}

Status GgufParser::place_tensors() {
  TSR_ASSIGN_OR_RETURN(const int64_t alignment,
                       file_.integer("general.alignment", kDefaultAlignment));
  if (alignment < 1 || alignment > kMaxAlignment ||
      !std::has_single_bit(static_cast<uint64_t>(alignment))) {
    return error(fmt::format("general.alignment is {}, expected a power of two",
                             alignment));
  }
  const auto step = static_cast<uint64_t>(alignment);
  const uint64_t begin = (at_ + step - 1) / step * step;
  const uint64_t room = begin > bytes_.size() ? 0 : bytes_.size() - begin;
  std::vector<const Entry*> in_order;
  for (Entry& entry : entries_) {
    if (entry.offset % step != 0 || entry.offset > room ||
        entry.bytes > room - entry.offset) {
      return error(fmt::format(
          "tensor {} of {} bytes at {} is not aligned to "
          "{} or leaves the {} bytes of data",
          entry.tensor.name, entry.bytes, entry.offset, step, room));
    }
    if (entry.bytes > 0) {
      entry.tensor.data = bytes_.subspan(begin + entry.offset, entry.bytes);
      in_order.push_back(&entry);
    }
  }
  std::sort(
      in_order.begin(), in_order.end(),
      [](const Entry* a, const Entry* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < in_order.size(); ++i) {
    if (in_order[i]->offset <
        in_order[i - 1]->offset + in_order[i - 1]->bytes) {
      return error(fmt::format("tensors {} and {} overlap",
                               in_order[i - 1]->tensor.name,
                               in_order[i]->tensor.name));
    }
  }
  for (Entry& entry : entries_) {
    file_.tensors_.push_back(std::move(entry.tensor));
  }
  return {};
}

Result<Gguf> GgufParser::parse() {
  file_.source_ = source_;
  TSR_ASSIGN_OR_RETURN(const auto magic, read<uint32_t>());
  if (magic != kMagic) return error("does not begin with GGUF");
  TSR_ASSIGN_OR_RETURN(const auto version, read<uint32_t>());
  if (version != 2 && version != 3) {
    return Status(TSR_UNIMPLEMENTED,
                  fmt::format("{}: GGUF version {}; 2 and 3 are supported",
                              source_, version));
  }
  TSR_ASSIGN_OR_RETURN(const auto tensors, read<uint64_t>());
  TSR_ASSIGN_OR_RETURN(const auto keys, read<uint64_t>());
  TSR_RETURN_IF_ERROR(read_metadata(keys));
  TSR_RETURN_IF_ERROR(read_tensors(tensors));
  TSR_RETURN_IF_ERROR(place_tensors());
  return std::move(file_);
}

}  // namespace tessera
