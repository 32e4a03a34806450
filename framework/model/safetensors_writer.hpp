// SPDX-License-Identifier: Apache-2.0
//
// Writes safetensors files of any size without holding them in memory: the
// names, types and shapes of all tensors first, then their bytes in turn.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera {

struct PlannedTensor {
  std::string name;
  uint32_t dtype = 0;  // TSR_F32 ...
  std::vector<uint64_t> shape;

  bool operator==(const PlannedTensor&) const = default;
};

// Bytes of the tensor.
// Errors  INVALID_ARGUMENT if they overflow, end inside a byte, or safetensors
//         has no such type
Result<uint64_t> planned_bytes(const PlannedTensor& tensor);

// Length and text of the header of a file that holds `tensors` in this order,
// padded with blanks to `room` bytes in all (0: to the next multiple of 8).
//
// Errors  those of planned_bytes(); INVALID_ARGUMENT if the room is too small
Result<std::string> safetensors_header(
    const std::vector<PlannedTensor>& tensors,
    const std::map<std::string, std::string>& metadata, uint64_t room);

// In the order in which a file holds them: types of wider elements first, then
// by name.
// Source  huggingface/safetensors, safetensors/src/tensor.rs, prepare()
std::vector<PlannedTensor> file_order(std::vector<PlannedTensor> tensors);

// One file.  It appears at its path when finish() returns OK, not before.
class SafetensorsWriter {
 public:
  // Writes the header into a temporary file beside `path`.  `tensors` must be
  // in file_order().
  //
  // Errors  INVALID_ARGUMENT for two tensors of one name, another order, or
  //         what planned_bytes() refuses; FAILED_PRECONDITION if the file
  //         cannot be written
  static Result<SafetensorsWriter> create(
      const std::string& path, std::vector<PlannedTensor> tensors,
      const std::map<std::string, std::string>& metadata = {});

  SafetensorsWriter(SafetensorsWriter&& other) noexcept;
  SafetensorsWriter& operator=(SafetensorsWriter&&) = delete;
  ~SafetensorsWriter();  // removes the temporary file unless finished

  // All bytes of the next tensor.
  // Errors  INVALID_ARGUMENT, naming the tensor, if it has another size or
  //         there is no next one; FAILED_PRECONDITION if the disk is full
  Status append(std::span<const std::byte> bytes);

  // Errors  FAILED_PRECONDITION if tensors are missing or the file cannot be
  //         renamed
  Status finish();

 private:
  SafetensorsWriter() = default;

  std::string path_;
  std::string temporary_;
  int fd_ = -1;
  std::vector<PlannedTensor> tensors_;
  std::vector<uint64_t> sizes_;
  size_t next_ = 0;
};

// The tensors of a folder, in one file or in shards with an index.
struct ShardPlan {
  std::string folder;
  std::string stem;              // "model": model.safetensors,
                                 // model-00001-of-00002.safetensors
  uint64_t max_shard_bytes = 0;  // 0: one file.  A tensor is never split
  std::map<std::string, std::string> metadata;
};

// Asks `bytes_of` for every tensor in turn and writes what it returns, which
// must live until the next call; then the index if there are shards.
//
// Errors  those of SafetensorsWriter and of `bytes_of`
using BytesOf =
    std::function<Result<std::span<const std::byte>>(const PlannedTensor&)>;
Status write_shards(const ShardPlan& plan, std::vector<PlannedTensor> tensors,
                    const BytesOf& bytes_of);

}  // namespace tessera
