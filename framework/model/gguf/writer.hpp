// SPDX-License-Identifier: Apache-2.0
//
// Writes a GGUF file of version 3 whose tensors come one at a time, so that no
// model need be in memory whole.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera {

// The entries before the tensors, in the types that readers expect.
class GgufMetadata {
 public:
  void add_u32(std::string_view key, uint32_t value);
  void add_f32(std::string_view key, float value);
  void add_bool(std::string_view key, bool value);
  void add_string(std::string_view key, std::string_view value);
  void add_strings(std::string_view key, std::span<const std::string> values);
  void add_i32s(std::string_view key, std::span<const int32_t> values);
  void add_f32s(std::string_view key, std::span<const float> values);

  uint64_t count() const { return count_; }
  const std::string& bytes() const { return bytes_; }

 private:
  void begin(std::string_view key, uint32_t type);

  std::string bytes_;
  uint64_t count_ = 0;
};

struct GgufPlannedTensor {
  std::string name;             // at most 63 bytes
  uint32_t type = 0;            // GGUF's number, as find_gguf_type() knows it
  std::vector<uint64_t> shape;  // row-major, one to four axes
};

class GgufWriter {
 public:
  // Begins a temporary file beside `path` with everything but the data.
  //
  // Errors  INVALID_ARGUMENT, naming the tensor, if its name is too long or
  //         there twice, its type unknown or its rows no whole blocks
  //         FAILED_PRECONDITION, naming the path, if it cannot be written
  static Result<GgufWriter> create(
      const std::string& path, const GgufMetadata& metadata,
      const std::vector<GgufPlannedTensor>& tensors);

  GgufWriter(GgufWriter&& other) noexcept;
  GgufWriter& operator=(GgufWriter&& other) = delete;
  ~GgufWriter();  // removes the temporary file unless finish() succeeded

  // The data of the next tensor, in the order of the plan.
  // Errors  INVALID_ARGUMENT if another is next or the size is not the plan's;
  //         FAILED_PRECONDITION as above
  Status put(std::string_view name, std::span<const std::byte> bytes);

  // Makes the file appear at `path`, in place of what was there.
  // Errors  FAILED_PRECONDITION if tensors are missing, or as above
  Status finish();

 private:
  struct Planned {
    std::string name;
    uint64_t bytes = 0;
  };

  GgufWriter() = default;
  Status write(std::string_view bytes);
  Status failure() const;

  std::string path_;
  std::string temporary_;
  int fd_ = -1;
  std::vector<Planned> planned_;
  size_t next_ = 0;
};

}  // namespace tessera
