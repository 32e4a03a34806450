// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/output/tensor_stream.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <utility>

#include "framework/base/atomic_file.hpp"
#include "framework/base/mapped_file.hpp"
#include "framework/model/safetensors.hpp"

namespace tessera::quant {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Room for the header of a part; a part whose header would not fit is closed.
constexpr uint64_t kHeaderRoom = UINT64_C(1) << 20;

// Keeps readers' tensors aligned: no element is wider.
constexpr uint64_t kAlignment = 8;

// A smaller tensor is written sooner than a thread is started.
constexpr uint64_t kWorthAThread = UINT64_C(1) << 18;

// Bytes of one write, after which mapped pages are given back.
constexpr uint64_t kPiece = UINT64_C(16) << 20;

Status system_error(const std::string& path) {
  return {TSR_FAILED_PRECONDITION,
          fmt::format("write {}: {}", path, std::strerror(errno))};
}

Status write_at(int fd, uint64_t offset, std::span<const std::byte> bytes,
                const std::string& path) {
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min<uint64_t>(bytes.size(), kPiece));
    const ssize_t written =
        pwrite(fd, piece.data(), piece.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return system_error(path);
    const auto count = static_cast<uint64_t>(written);
    release_mapped(bytes.first(count));
#if defined(__linux__)
    // The disk works while the next tensor is rounded; no one waits for it.
    sync_file_range(fd, static_cast<off_t>(offset), static_cast<off_t>(count),
                    SYNC_FILE_RANGE_WRITE);
#endif
    bytes = bytes.subspan(count);
    offset += count;
  }
  return {};
}

// Of the tensor's line in the header, at most.
uint64_t header_bytes_of(const PlannedTensor& tensor) {
  return 2 * tensor.name.size() + 24 * tensor.shape.size() + 128;
}

}  // namespace

TensorStream::~TensorStream() {
  if (behind_.valid()) behind_.wait();
  for (const Part& part : parts_) {
    if (part.fd >= 0) close(part.fd);
  }
  if (odd_.fd >= 0) close(odd_.fd);
}

Status TensorStream::open(Part& part) const {
  if (part.fd >= 0) return {};
  part.fd = ::open(path(part).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  return part.fd < 0 ? system_error(path(part)) : Status{};
}

Result<TensorStream::Part*> TensorStream::part_for(uint64_t bytes,
                                                   uint64_t header_bytes) {
  const bool is_full =
      parts_.empty() ||
      (!parts_.back().tensors.empty() &&
       (parts_.back().data_bytes + bytes > limits_.shard_bytes ||
        parts_.back().header_bytes + header_bytes > kHeaderRoom - kAlignment));
  if (is_full) {
    Part part;
    part.file = fmt::format("weights-{:05}.part", parts_.size() + 1);
    part.header_bytes = 128;  // metadata
    parts_.push_back(std::move(part));
  }
  TSR_RETURN_IF_ERROR(open(parts_.back()));
  return &parts_.back();
}

TensorStream::Place TensorStream::take(Part& part, const PlannedTensor& tensor,
                                       uint64_t bytes, uint64_t begin) {
  const uint64_t offset = begin + part.data_bytes;
  part.tensors.push_back(tensor);
  part.sizes.push_back(bytes);
  part.data_bytes += bytes;
  part.header_bytes += header_bytes_of(tensor);
  return {part.fd, offset, part.file};
}

Result<TensorStream::Place> TensorStream::reserve(const PlannedTensor& tensor,
                                                  uint64_t bytes) {
  TSR_RETURN_IF_ERROR(wait());
  TSR_ASSIGN_OR_RETURN(const uint64_t planned, planned_bytes(tensor));
  if (planned != bytes) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("tensor {}: {} bytes for {}", tensor.name, bytes,
                              shape_text(tensor.shape)));
  }
  if (!names_.insert(tensor.name).second) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("tensor {} comes twice", tensor.name));
  }
  if (bytes % kAlignment != 0) {
    TSR_RETURN_IF_ERROR(open(odd_));
    return take(odd_, tensor, bytes, 0);
  }
  TSR_ASSIGN_OR_RETURN(Part* const part,
                       part_for(bytes, header_bytes_of(tensor)));
  return take(*part, tensor, bytes, kHeaderRoom);
}

Status TensorStream::wait() {
  return behind_.valid() ? behind_.get() : Status{};
}

Status TensorStream::append(const PlannedTensor& tensor,
                            std::span<const std::byte> bytes) {
  TSR_ASSIGN_OR_RETURN(const Place place, reserve(tensor, bytes.size()));
  return write_at(place.fd, place.offset, bytes, folder_ + "/" + place.path);
}

Status TensorStream::append_behind(NamedTensor tensor) {
  TSR_ASSIGN_OR_RETURN(const Place place,
                       reserve(tensor.plan, tensor.bytes.size()));
  const std::string path = folder_ + "/" + place.path;
  if (tensor.bytes.size() < kWorthAThread) {
    return write_at(place.fd, place.offset, tensor.bytes, path);
  }
  behind_ =
      std::async(std::launch::async,
                 [place, path, bytes = std::move(tensor.bytes)]() -> Status {
                   return write_at(place.fd, place.offset, bytes, path);
                 });
  return {};
}

Result<json> TensorStream::state() {
  TSR_RETURN_IF_ERROR(wait());
  const auto describe = [](const Part& part) {
    json tensors = json::array();
    for (const PlannedTensor& tensor : part.tensors) {
      tensors.push_back({tensor.name, tensor.dtype, tensor.shape});
    }
    return json{{"file", part.file}, {"tensors", std::move(tensors)}};
  };
  json parts = json::array();
  for (const Part& part : parts_) parts.push_back(describe(part));
  return json{{"parts", std::move(parts)}, {"odd", describe(odd_)}};
}

Status TensorStream::restore(const json& state) {
  const auto read = [this](const json& row, Part* part) -> Status {
    part->file = row.at("file").get<std::string>();
    for (const json& line : row.at("tensors")) {
      PlannedTensor tensor{line.at(0).get<std::string>(),
                           line.at(1).get<uint32_t>(),
                           line.at(2).get<std::vector<uint64_t>>()};
      TSR_ASSIGN_OR_RETURN(const uint64_t bytes, planned_bytes(tensor));
      names_.insert(tensor.name);
      part->header_bytes += header_bytes_of(tensor);
      part->data_bytes += bytes;
      part->sizes.push_back(bytes);
      part->tensors.push_back(std::move(tensor));
    }
    if (part->tensors.empty()) return {};
    const uint64_t end = part->data_bytes + (part == &odd_ ? 0 : kHeaderRoom);
    std::error_code code;
    const uint64_t found = fs::file_size(path(*part), code);
    if (code || found < end) {
      return {TSR_DATA_LOSS,
              fmt::format("{}: shorter than {} bytes", path(*part), end)};
    }
    TSR_RETURN_IF_ERROR(open(*part));
    return ftruncate(part->fd, static_cast<off_t>(end)) == 0
               ? Status{}
               : system_error(path(*part));
  };
  for (const json& row : state.at("parts")) {
    Part part;
    part.header_bytes = 128;
    Status status = read(row, &part);
    parts_.push_back(std::move(part));  // closes the file
    if (!status.ok()) return status;
  }
  return read(state.at("odd"), &odd_);
}

Status TensorStream::sync() {
  TSR_RETURN_IF_ERROR(wait());
  for (const Part& part : parts_) {
    if (part.fd >= 0 && fdatasync(part.fd) != 0) {
      return system_error(path(part));
    }
  }
  if (odd_.fd >= 0 && fdatasync(odd_.fd) != 0) return system_error(path(odd_));
  return {};
}

// Widest elements first, so that each is aligned.
Status TensorStream::append_odd() {
  if (odd_.tensors.empty()) return {};
  TSR_ASSIGN_OR_RETURN(const MappedFile mapped, MappedFile::open(path(odd_)));
  std::map<std::string, std::span<const std::byte>> bytes_of;
  uint64_t offset = 0;
  for (size_t i = 0; i < odd_.tensors.size(); ++i) {
    bytes_of[odd_.tensors[i].name] =
        mapped.bytes().subspan(offset, odd_.sizes[i]);
    offset += odd_.sizes[i];
  }
  for (const PlannedTensor& tensor : file_order(odd_.tensors)) {
    const auto bytes = bytes_of.at(tensor.name);
    TSR_ASSIGN_OR_RETURN(Part* const part,
                         part_for(bytes.size(), header_bytes_of(tensor)));
    const Place place = take(*part, tensor, bytes.size(), kHeaderRoom);
    TSR_RETURN_IF_ERROR(
        write_at(place.fd, place.offset, bytes, folder_ + "/" + place.path));
  }
  return {};
}

Status TensorStream::finish_small(const std::string& stem) {
  std::vector<MappedFile> files;
  std::vector<PlannedTensor> plans;
  std::map<std::string, std::span<const std::byte>> bytes_of;
  const auto add = [&](const Part& part, uint64_t offset) -> Status {
    if (part.tensors.empty()) return {};
    TSR_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(path(part)));
    for (size_t i = 0; i < part.tensors.size(); ++i) {
      bytes_of[part.tensors[i].name] =
          mapped.bytes().subspan(offset, part.sizes[i]);
      offset += part.sizes[i];
      plans.push_back(part.tensors[i]);
    }
    files.push_back(std::move(mapped));
    return {};
  };
  for (const Part& part : parts_) TSR_RETURN_IF_ERROR(add(part, kHeaderRoom));
  TSR_RETURN_IF_ERROR(add(odd_, 0));
  TSR_RETURN_IF_ERROR(write_shards(
      {folder_, stem, 0, {{"format", "pt"}}}, file_order(std::move(plans)),
      [&](const PlannedTensor& plan) -> Result<std::span<const std::byte>> {
        return bytes_of.at(plan.name);
      }));
  std::error_code code;
  for (const Part& part : parts_) fs::remove(path(part), code);
  fs::remove(path(odd_), code);
  return {};
}

Status TensorStream::finish_large(const std::string& stem) {
  TSR_RETURN_IF_ERROR(append_odd());
  std::error_code code;
  fs::remove(path(odd_), code);
  json map = json::object();
  uint64_t bytes = 0;
  for (size_t i = 0; i < parts_.size(); ++i) {
    Part& part = parts_[i];
    TSR_ASSIGN_OR_RETURN(
        const std::string header,
        safetensors_header(part.tensors, {{"format", "pt"}}, kHeaderRoom));
    TSR_RETURN_IF_ERROR(
        write_at(part.fd, 0, std::as_bytes(std::span(header)), path(part)));
    const std::string name = parts_.size() == 1
                                 ? stem + ".safetensors"
                                 : fmt::format("{}-{:05}-of-{:05}.safetensors",
                                               stem, i + 1, parts_.size());
    for (const PlannedTensor& tensor : part.tensors) map[tensor.name] = name;
    bytes += part.data_bytes;
    fs::rename(path(part), folder_ + "/" + name, code);
    if (code) {
      return {TSR_FAILED_PRECONDITION,
              fmt::format("{}/{}: {}", folder_, name, code.message())};
    }
    part.file = name;
  }
  TSR_RETURN_IF_ERROR(sync());
  if (parts_.size() == 1) return {};
  const json index = {{"metadata", {{"total_size", bytes}}},
                      {"weight_map", map}};
  return write_file_atomically(folder_ + "/model.safetensors.index.json",
                               index.dump(2) + "\n");
}

Status TensorStream::finish(const std::string& stem) {
  TSR_RETURN_IF_ERROR(wait());
  uint64_t bytes = odd_.data_bytes;
  for (const Part& part : parts_) bytes += part.data_bytes;
  return bytes < limits_.small_bytes ? finish_small(stem) : finish_large(stem);
}

}  // namespace tessera::quant
