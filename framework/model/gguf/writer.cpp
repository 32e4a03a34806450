// SPDX-License-Identifier: Apache-2.0

#include "framework/model/gguf/writer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <utility>

#include "framework/model/gguf/gguf.hpp"

namespace tessera {
namespace {

constexpr uint32_t kVersion = 3;
constexpr uint64_t kAlignment = 32;
constexpr size_t kMaxNameBytes = 63;  // ggml keeps names in 64 with the zero
constexpr size_t kMaxAxes = 4;

// Source  ggml, docs/gguf.md, gguf_metadata_value_type
constexpr uint32_t kU32 = 4;
constexpr uint32_t kI32 = 5;
constexpr uint32_t kF32 = 6;
constexpr uint32_t kBool = 7;
constexpr uint32_t kString = 8;
constexpr uint32_t kArray = 9;

template <typename T>
void append(T value, std::string& out) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void append_text(std::string_view text, std::string& out) {
  append(uint64_t{text.size()}, out);
  out.append(text);
}

uint64_t padded(uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

Result<uint64_t> planned_bytes(const GgufPlannedTensor& tensor) {
  const auto refuse = [&tensor](const std::string& problem) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("tensor {} {}", tensor.name, problem));
  };
  if (tensor.name.empty() || tensor.name.size() > kMaxNameBytes) {
    return refuse(fmt::format("has a name of {} bytes, expected 1 to {}",
                              tensor.name.size(), kMaxNameBytes));
  }
  const GgufType* const type = find_gguf_type(tensor.type);
  if (type == nullptr) {
    return refuse(fmt::format("has unknown GGUF type {}", tensor.type));
  }
  if (tensor.shape.empty() || tensor.shape.size() > kMaxAxes) {
    return refuse(fmt::format("has {} axes, expected 1 to {}",
                              tensor.shape.size(), kMaxAxes));
  }
  if (tensor.shape.back() % type->values != 0) {
    return refuse(
        fmt::format("has rows of {}, which blocks of {} do not divide",
                    tensor.shape.back(), type->values));
  }
  uint64_t bytes = type->bytes;
  for (const uint64_t extent : tensor.shape) {
    if (__builtin_mul_overflow(bytes, extent, &bytes)) {
      return refuse("is larger than 64 bits count");
    }
  }
  return bytes / type->values;
}

}  // namespace

void GgufMetadata::begin(std::string_view key, uint32_t type) {
  append_text(key, bytes_);
  append(type, bytes_);
  ++count_;
}

void GgufMetadata::add_u32(std::string_view key, uint32_t value) {
  begin(key, kU32);
  append(value, bytes_);
}

void GgufMetadata::add_f32(std::string_view key, float value) {
  begin(key, kF32);
  append(value, bytes_);
}

void GgufMetadata::add_bool(std::string_view key, bool value) {
  begin(key, kBool);
  append(uint8_t{value}, bytes_);
}

void GgufMetadata::add_string(std::string_view key, std::string_view value) {
  begin(key, kString);
  append_text(value, bytes_);
}

void GgufMetadata::add_strings(std::string_view key,
                               std::span<const std::string> values) {
  begin(key, kArray);
  append(kString, bytes_);
  append(uint64_t{values.size()}, bytes_);
  for (const std::string& value : values) append_text(value, bytes_);
}

void GgufMetadata::add_i32s(std::string_view key,
                            std::span<const int32_t> values) {
  begin(key, kArray);
  append(kI32, bytes_);
  append(uint64_t{values.size()}, bytes_);
  for (const int32_t value : values) append(value, bytes_);
}

void GgufMetadata::add_f32s(std::string_view key,
                            std::span<const float> values) {
  begin(key, kArray);
  append(kF32, bytes_);
  append(uint64_t{values.size()}, bytes_);
  for (const float value : values) append(value, bytes_);
}

Result<GgufWriter> GgufWriter::create(
    const std::string& path, const GgufMetadata& metadata,
    const std::vector<GgufPlannedTensor>& tensors) {
  std::string head = "GGUF";
  append(kVersion, head);
  append(uint64_t{tensors.size()}, head);
  append(metadata.count(), head);
  head += metadata.bytes();

  GgufWriter writer;
  writer.path_ = path;
  std::set<std::string> names;
  uint64_t offset = 0;
  for (const GgufPlannedTensor& tensor : tensors) {
    TSR_ASSIGN_OR_RETURN(const uint64_t bytes, planned_bytes(tensor));
    if (!names.insert(tensor.name).second) {
      return Status(TSR_INVALID_ARGUMENT,
                    "tensor " + tensor.name + " is planned twice");
    }
    append_text(tensor.name, head);
    append(static_cast<uint32_t>(tensor.shape.size()), head);
    for (auto it = tensor.shape.rbegin(); it != tensor.shape.rend(); ++it) {
      append(*it, head);
    }
    append(tensor.type, head);
    append(offset, head);
    offset += padded(bytes);
    writer.planned_.push_back({tensor.name, bytes});
  }
  head.resize(padded(head.size()), '\0');

  std::string temporary = path + ".XXXXXX";
  writer.fd_ = mkostemp(temporary.data(), O_CLOEXEC);
  if (writer.fd_ < 0) return writer.failure();
  writer.temporary_ = std::move(temporary);
  TSR_RETURN_IF_ERROR(writer.write(head));
  return writer;
}

GgufWriter::GgufWriter(GgufWriter&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::exchange(other.fd_, -1)),
      planned_(std::move(other.planned_)),
      next_(other.next_) {}

GgufWriter::~GgufWriter() {
  if (fd_ >= 0) close(fd_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

Status GgufWriter::failure() const {
  return {TSR_FAILED_PRECONDITION,
          "write " + path_ + ": " + std::strerror(errno)};
}

Status GgufWriter::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failure();
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Status GgufWriter::put(std::string_view name,
                       std::span<const std::byte> bytes) {
  if (next_ == planned_.size() || planned_[next_].name != name ||
      planned_[next_].bytes != bytes.size()) {
    return {TSR_INVALID_ARGUMENT,
            next_ == planned_.size()
                ? fmt::format("tensor {} is not planned", name)
                : fmt::format("tensor {} of {} bytes came where {} of {} was "
                              "planned",
                              name, bytes.size(), planned_[next_].name,
                              planned_[next_].bytes)};
  }
  ++next_;
  TSR_RETURN_IF_ERROR(
      write({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  return write(std::string(padded(bytes.size()) - bytes.size(), '\0'));
}

Status GgufWriter::finish() {
  if (next_ < planned_.size()) {
    return {TSR_FAILED_PRECONDITION,
            fmt::format("write {}: tensor {} is missing", path_,
                        planned_[next_].name)};
  }
  // mkostemp makes 0600; an ordinary output file is 0666 less the umask.
  const mode_t mask = umask(0);
  umask(mask);
  if (fchmod(fd_, 0666 & ~mask) != 0 || fsync(fd_) != 0 ||
      close(std::exchange(fd_, -1)) != 0 ||
      std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return failure();
  }
  temporary_.clear();
  return {};
}

}  // namespace tessera
