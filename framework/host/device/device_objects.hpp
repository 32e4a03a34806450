// SPDX-License-Identifier: Apache-2.0
//
// What lives on a device besides weights and queues: buffers, KV pools,
// programs.  Each is destroyed before the device that it keeps open.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "framework/base/status.hpp"
#include "tessera/plugin.h"

namespace tessera {

class Device;

// A new id for an object of the host's: never 0, never given twice.  Any
// thread.
uint64_t next_host_id();

// One of the objects that plugin.h names by a host id.  Moves only.
class DeviceObject {
 public:
  using Destroy = void (*tsr_api::*)(tsr_device*, uint64_t);

  DeviceObject() = default;
  // Calls `destroy` of the device's table when it goes.
  DeviceObject(std::shared_ptr<Device> device, uint64_t id, Destroy destroy);
  DeviceObject(DeviceObject&& other) noexcept;
  DeviceObject& operator=(DeviceObject&& other) noexcept;
  ~DeviceObject();

  uint64_t id() const { return id_; }
  Device& device() const { return *device_; }

 private:
  std::shared_ptr<Device> device_;
  uint64_t id_ = 0;
  Destroy destroy_ = nullptr;
};

class Buffer {
 public:
  Buffer() = default;
  Buffer(DeviceObject object, uint64_t bytes, bool coherent)
      : object_(std::move(object)), bytes_(bytes), coherent_(coherent) {}

  uint64_t id() const { return object_.id(); }
  uint64_t bytes() const { return bytes_; }

  // The host's address of the buffer, valid until it is destroyed.
  // Errors: FAILED_PRECONDITION and the like if it is not HOST_VISIBLE.
  Result<void*> map();
  // The device sees what the host wrote.
  Status flush() { return flush(0, bytes_); }
  Status flush(uint64_t offset, uint64_t bytes);
  // The host sees what the device wrote.
  Status invalidate() { return invalidate(0, bytes_); }
  Status invalidate(uint64_t offset, uint64_t bytes);

 private:
  DeviceObject object_;
  uint64_t bytes_ = 0;
  bool coherent_ = true;
};

// The KV blocks of one layer, with the memory they lie in.
class KvPool {
 public:
  KvPool() = default;
  KvPool(Buffer buffer, DeviceObject object, const tsr_kv_info& info)
      : buffer_(std::move(buffer)), object_(std::move(object)), info_(info) {}

  uint64_t id() const { return object_.id(); }
  uint64_t bytes() const { return buffer_.bytes(); }
  const tsr_kv_info& info() const { return info_; }

 private:
  Buffer buffer_;  // outlives object_
  DeviceObject object_;
  tsr_kv_info info_{};
};

class Program {
 public:
  Program() = default;
  Program(DeviceObject object, const tsr_program_info& info)
      : object_(std::move(object)), info_(info) {}

  uint64_t id() const { return object_.id(); }
  const tsr_program_info& info() const { return info_; }
  uint64_t workspace_bytes() const { return info_.workspace_bytes; }
  // Which ops each kernel covers, in order.
  Result<std::vector<tsr_segment>> segments() const;

 private:
  DeviceObject object_;
  tsr_program_info info_{};
};

}  // namespace tessera
