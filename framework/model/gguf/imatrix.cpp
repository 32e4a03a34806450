// SPDX-License-Identifier: Apache-2.0

#include "framework/model/gguf/imatrix.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "framework/base/mapped_file.hpp"
#include "framework/model/gguf/gguf.hpp"
#include "framework/model/gguf/names.hpp"
#include "framework/model/tensor_names.hpp"

namespace tessera {
namespace {

// Sums of squares of one matrix, and how many were summed.
struct Entry {
  std::vector<float> sums;
  double count = 0.0;
};
using Entries = std::map<std::string, Entry>;  // by GGUF's names

Status damaged(const std::string& path, const std::string& problem) {
  return {TSR_INVALID_ARGUMENT, path + ": " + problem};
}

class LegacyReader {
 public:
  LegacyReader(std::span<const std::byte> bytes, const std::string& path)
      : bytes_(bytes), path_(path) {}

  Result<Entries> read() {
    TSR_ASSIGN_OR_RETURN(const int32_t count, number());
    if (count < 1) return damaged(path_, "no importance matrix: no entries");
    Entries entries;
    for (int32_t i = 0; i < count; ++i) {
      TSR_ASSIGN_OR_RETURN(const int32_t length, number());
      TSR_ASSIGN_OR_RETURN(const auto name, take(length, 1));
      const std::string key(reinterpret_cast<const char*>(name.data()),
                            name.size());
      TSR_ASSIGN_OR_RETURN(const int32_t calls, number());
      TSR_ASSIGN_OR_RETURN(const int32_t columns, number());
      TSR_ASSIGN_OR_RETURN(const auto values, take(columns, sizeof(float)));
      Entry entry{std::vector<float>(static_cast<size_t>(columns)),
                  static_cast<double>(calls)};
      std::memcpy(entry.sums.data(), values.data(), values.size());
      if (!entries.emplace(key, std::move(entry)).second) {
        return damaged(path_, "entry " + key + " comes twice");
      }
    }
    return entries;
  }

 private:
  Result<std::span<const std::byte>> take(int32_t count, uint64_t size) {
    if (count < 0 || static_cast<uint64_t>(count) * size > bytes_.size()) {
      return damaged(path_,
                     fmt::format("no importance matrix, or cut short: {} items "
                                 "of {} bytes, but {} bytes are left",
                                 count, size, bytes_.size()));
    }
    const auto taken = bytes_.first(static_cast<size_t>(count) * size);
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }

  Result<int32_t> number() {
    TSR_ASSIGN_OR_RETURN(const auto bytes, take(1, sizeof(int32_t)));
    int32_t value = 0;
    std::memcpy(&value, bytes.data(), sizeof(value));
    return value;
  }

  std::span<const std::byte> bytes_;
  const std::string& path_;
};

constexpr std::string_view kSums = ".in_sum2";
constexpr std::string_view kCounts = ".counts";

Result<std::vector<float>> read_floats(const std::string& path,
                                       const GgufTensor& tensor) {
  if (tensor.type->dtype != TSR_F32) {
    return damaged(path, "tensor " + tensor.name + " is not F32");
  }
  std::vector<float> values(tensor.data.size() / sizeof(float));
  if (!values.empty()) {
    std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  }
  return values;
}

Result<Entries> read_gguf(std::span<const std::byte> bytes,
                          const std::string& path) {
  TSR_ASSIGN_OR_RETURN(const Gguf file, Gguf::parse(bytes, path));
  Entries entries;
  std::map<std::string, double> counts;
  for (const GgufTensor& tensor : file.tensors()) {
    const std::string_view name = tensor.name;
    const bool is_sums = name.ends_with(kSums);
    if (!is_sums && !name.ends_with(kCounts)) continue;
    TSR_ASSIGN_OR_RETURN(std::vector<float> values, read_floats(path, tensor));
    const std::string key(
        name.substr(0, name.size() - (is_sums ? kSums : kCounts).size()));
    if (is_sums) {
      entries[key].sums = std::move(values);
    } else if (values.size() != 1) {
      return damaged(path, fmt::format("tensor {} has {} numbers; only "
                                       "matrices without experts are read",
                                       name, values.size()));
    } else {
      counts[key] = std::round(double{values[0]});
    }
  }
  if (entries.empty()) return damaged(path, "no importance matrix in it");
  for (auto& [key, entry] : entries) {
    const auto count = counts.find(key);
    if (count == counts.end()) {
      return damaged(path, fmt::format("no tensor {}{}", key, kCounts));
    }
    entry.count = count->second;
  }
  return entries;
}

Result<std::vector<float>> means(const std::string& where, const Entry& entry) {
  std::vector<float> values = entry.sums;
  for (float& value : values) {
    value = entry.count > 0.0 ? static_cast<float>(value / entry.count) : 1.0f;
    if (!std::isfinite(value) || value < 0.0f) {
      return Status(TSR_INVALID_ARGUMENT,
                    where + ": a mean square is negative or not finite");
    }
  }
  return values;
}

}  // namespace

Result<Importance> read_imatrix(const std::string& path,
                                const ModelConfig& config) {
  TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  const std::span<const std::byte> bytes = file.bytes();
  const bool is_gguf =
      bytes.size() >= 4 && std::memcmp(bytes.data(), "GGUF", 4) == 0;
  TSR_ASSIGN_OR_RETURN(
      const Entries entries,
      is_gguf ? read_gguf(bytes, path) : LegacyReader(bytes, path).read());
  std::map<std::string, const TensorSpec*> matrices;  // by GGUF's names
  const auto names = gguf_names(config);
  const std::vector<TensorSpec> specs = required_tensors(config);
  for (const TensorSpec& spec : specs) {
    if (spec.shape.size() == 2) matrices[names.at(spec.name).name] = &spec;
  }
  // Made before the head was found to be the embedding.
  const TensorSpec head{kHeadName, {config.vocab_size, config.hidden_size}};
  matrices.emplace(names.at(kHeadName).name, &head);

  Importance importance;
  for (const auto& [name, entry] : entries) {
    const std::string where = fmt::format("{}: entry {}", path, name);
    const auto matrix = matrices.find(name);
    if (matrix == matrices.end()) {
      return Status(TSR_INVALID_ARGUMENT,
                    where + ": the model has no such matrix");
    }
    const uint64_t K = matrix->second->shape[1];
    if (entry.sums.size() != K) {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("{}: {} columns, but the model's matrix has {}",
                                where, entry.sums.size(), K));
    }
    TSR_ASSIGN_OR_RETURN(importance[matrix->second->name], means(where, entry));
  }
  for (const auto& [name, spec] : matrices) {
    if (name.starts_with("blk.") && !importance.contains(spec->name)) {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("{}: no entry {}, so it is of another model",
                                path, name));
    }
  }
  return importance;
}

}  // namespace tessera
