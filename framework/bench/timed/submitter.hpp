// SPDX-License-Identifier: Apache-2.0
//
// A device with a queue, and memory of it that the host can fill and read.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/host/device/device.hpp"
#include "framework/host/device/record_builder.hpp"

namespace tessera::bench {

// One thread at a time.
class Submitter {
 public:
  static Result<std::unique_ptr<Submitter>> create(
      const std::shared_ptr<Device>& device);

  Device& device() { return *device_; }

  // Makes `submission` signal what run() waits for; once.
  void prepare(SubmissionBuilder& submission) const;
  // Submits and waits.
  Status run(SubmissionBuilder& submission);

  // Where the device works fastest; host-visible if it has no such memory.
  Result<Buffer> fast_buffer(uint64_t bytes);
  Result<Buffer> visible_buffer(uint64_t bytes);

  // Copies between buffers of the device.
  Status copy(const Buffer& src, const Buffer& dst, uint64_t bytes);

  // A fast buffer that holds `bytes`.
  Result<Buffer> upload(std::span<const std::byte> bytes);
  // What a buffer begins with.
  Result<std::vector<std::byte>> download(Buffer& buffer, uint64_t bytes);
  Status write(Buffer& buffer, std::span<const std::byte> bytes);

 private:
  explicit Submitter(std::shared_ptr<Device> device)
      : device_(std::move(device)) {}
  uint32_t fast_kind() const;

  std::shared_ptr<Device> device_;
  uint32_t visible_kind_ = 0;
  Timeline timeline_;
  Queue queue_;
  uint64_t timeline_id_ = 0;
  uint64_t next_value_ = 0;
};

}  // namespace tessera::bench
