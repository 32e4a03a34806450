// SPDX-License-Identifier: Apache-2.0

#include "framework/model/safetensors_writer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "framework/base/atomic_file.hpp"
#include "framework/model/safetensors.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera {
namespace {

using nlohmann::json;

constexpr size_t kAlignment = 8;
constexpr const char* kIndexFile = "model.safetensors.index.json";

// As the format spells a type; null if it has none.
const char* file_type(uint32_t dtype) {
  switch (dtype) {
    case TSR_F32:
      return "F32";
    case TSR_F16:
      return "F16";
    case TSR_BF16:
      return "BF16";
    case TSR_I64:
      return "I64";
    case TSR_I32:
      return "I32";
    case TSR_I8:
      return "I8";
    case TSR_U8:
      return "U8";
    case TSR_F8E4M3:
      return "F8_E4M3";
    case TSR_F8E5M2:
      return "F8_E5M2";
    case TSR_E8M0:
      return "F8_E8M0";
    default:
      return nullptr;
  }
}

bool comes_before(const PlannedTensor& a, const PlannedTensor& b) {
  const uint32_t bits_a = dtype_bits(a.dtype);
  const uint32_t bits_b = dtype_bits(b.dtype);
  return bits_a != bits_b ? bits_a > bits_b : a.name < b.name;
}

Status failure(const std::string& path) {
  return {TSR_FAILED_PRECONDITION,
          fmt::format("write {}: {}", path, std::strerror(errno))};
}

Status write_all(int fd, const char* data, size_t size,
                 const std::string& path) {
  while (size > 0) {
    const ssize_t written = write(fd, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failure(path);
    data += written;
    size -= static_cast<size_t>(written);
  }
  return {};
}

struct Shard {
  std::string file;
  std::vector<PlannedTensor> tensors;
  uint64_t bytes = 0;
};

Result<std::vector<Shard>> divide(const ShardPlan& plan,
                                  std::vector<PlannedTensor> tensors) {
  std::vector<Shard> shards(1);
  for (PlannedTensor& tensor : file_order(std::move(tensors))) {
    TSR_ASSIGN_OR_RETURN(const uint64_t bytes, planned_bytes(tensor));
    if (plan.max_shard_bytes != 0 && !shards.back().tensors.empty() &&
        shards.back().bytes + bytes > plan.max_shard_bytes) {
      shards.emplace_back();
    }
    shards.back().bytes += bytes;
    shards.back().tensors.push_back(std::move(tensor));
  }
  for (size_t i = 0; i < shards.size(); ++i) {
    shards[i].file = shards.size() == 1
                         ? plan.stem + ".safetensors"
                         : fmt::format("{}-{:05}-of-{:05}.safetensors",
                                       plan.stem, i + 1, shards.size());
  }
  return shards;
}

Status write_index(const ShardPlan& plan, const std::vector<Shard>& shards) {
  json map = json::object();
  uint64_t bytes = 0;
  for (const Shard& shard : shards) {
    bytes += shard.bytes;
    for (const PlannedTensor& tensor : shard.tensors) {
      map[tensor.name] = shard.file;
    }
  }
  const json index = {{"metadata", {{"total_size", bytes}}},
                      {"weight_map", map}};
  return write_file_atomically(plan.folder + "/" + kIndexFile,
                               index.dump(2) + "\n");
}

}  // namespace

Result<uint64_t> planned_bytes(const PlannedTensor& tensor) {
  if (file_type(tensor.dtype) == nullptr) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("tensor {}: safetensors has no {}", tensor.name,
                              dtype_name(tensor.dtype)));
  }
  uint64_t bits = dtype_bits(tensor.dtype);
  for (const uint64_t extent : tensor.shape) {
    if (__builtin_mul_overflow(bits, extent, &bits)) {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("tensor {}: shape {} is too large", tensor.name,
                                shape_text(tensor.shape)));
    }
  }
  return bits / 8;
}

Result<std::string> safetensors_header(
    const std::vector<PlannedTensor>& tensors,
    const std::map<std::string, std::string>& metadata, uint64_t room) {
  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const PlannedTensor& tensor : tensors) {
    TSR_ASSIGN_OR_RETURN(const uint64_t bytes, planned_bytes(tensor));
    header[tensor.name] = {{"dtype", file_type(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text =
      header.dump(-1, ' ', false, json::error_handler_t::replace);
  uint64_t length = (text.size() + kAlignment - 1) / kAlignment * kAlignment;
  if (room > 0) {
    if (room < sizeof(length) + length) {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("a header of {} bytes in a room of {}",
                                sizeof(length) + length, room));
    }
    length = room - sizeof(length);
  }
  text.append(length - text.size(), ' ');
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + text;
}

std::vector<PlannedTensor> file_order(std::vector<PlannedTensor> tensors) {
  std::sort(tensors.begin(), tensors.end(), comes_before);
  return tensors;
}

Result<SafetensorsWriter> SafetensorsWriter::create(
    const std::string& path, std::vector<PlannedTensor> tensors,
    const std::map<std::string, std::string>& metadata) {
  SafetensorsWriter writer;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (i > 0 && !comes_before(tensors[i - 1], tensors[i])) {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("{}: tensor {} does not come after {}", path,
                                tensors[i].name, tensors[i - 1].name));
    }
    TSR_ASSIGN_OR_RETURN(const uint64_t bytes, planned_bytes(tensors[i]));
    writer.sizes_.push_back(bytes);
  }
  writer.path_ = path;
  writer.tensors_ = std::move(tensors);
  std::string temporary = path + ".XXXXXX";
  writer.fd_ = mkostemp(temporary.data(), O_CLOEXEC);
  if (writer.fd_ < 0) return failure(path);
  writer.temporary_ = std::move(temporary);
  // mkostemp makes 0600; an ordinary output file is 0666 less the umask.
  const mode_t mask = umask(0);
  umask(mask);
  if (fchmod(writer.fd_, 0666 & ~mask) != 0) return failure(path);
  TSR_ASSIGN_OR_RETURN(const std::string header,
                       safetensors_header(writer.tensors_, metadata, 0));
  TSR_RETURN_IF_ERROR(
      write_all(writer.fd_, header.data(), header.size(), path));
  return writer;
}

SafetensorsWriter::SafetensorsWriter(SafetensorsWriter&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::exchange(other.fd_, -1)),
      tensors_(std::move(other.tensors_)),
      sizes_(std::move(other.sizes_)),
      next_(other.next_) {}

SafetensorsWriter::~SafetensorsWriter() {
  if (fd_ >= 0) close(fd_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

Status SafetensorsWriter::append(std::span<const std::byte> bytes) {
  if (next_ == tensors_.size()) {
    return {TSR_INVALID_ARGUMENT,
            fmt::format("{}: more than the planned {} tensors", path_,
                        tensors_.size())};
  }
  if (bytes.size() != sizes_[next_]) {
    return {TSR_INVALID_ARGUMENT,
            fmt::format("{}: tensor {} has {} bytes, planned were {}", path_,
                        tensors_[next_].name, bytes.size(), sizes_[next_])};
  }
  ++next_;
  return write_all(fd_, reinterpret_cast<const char*>(bytes.data()),
                   bytes.size(), path_);
}

Status SafetensorsWriter::finish() {
  if (next_ != tensors_.size()) {
    return {TSR_FAILED_PRECONDITION,
            fmt::format("{}: {} of {} tensors are missing", path_,
                        tensors_.size() - next_, tensors_.size())};
  }
  if (fsync(fd_) != 0) return failure(path_);
  if (close(std::exchange(fd_, -1)) != 0) return failure(path_);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return failure(path_);
  }
  temporary_.clear();
  return {};
}

Status write_shards(const ShardPlan& plan, std::vector<PlannedTensor> tensors,
                    const BytesOf& bytes_of) {
  TSR_ASSIGN_OR_RETURN(const std::vector<Shard> shards,
                       divide(plan, std::move(tensors)));
  for (const Shard& shard : shards) {
    TSR_ASSIGN_OR_RETURN(
        SafetensorsWriter writer,
        SafetensorsWriter::create(plan.folder + "/" + shard.file, shard.tensors,
                                  plan.metadata));
    for (const PlannedTensor& tensor : shard.tensors) {
      TSR_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes,
                           bytes_of(tensor));
      TSR_RETURN_IF_ERROR(writer.append(bytes));
    }
    TSR_RETURN_IF_ERROR(writer.finish());
  }
  return shards.size() == 1 ? Status() : write_index(plan, shards);
}

}  // namespace tessera
