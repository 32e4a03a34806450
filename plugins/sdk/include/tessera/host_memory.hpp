// SPDX-License-Identifier: Apache-2.0
//
// tessera/host_memory.hpp - buffers, timelines and copies of a device whose
// memory is the host's: a CPU, a simulator, an integrated chip.

#pragma once

#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "tessera/plugin.hpp"

namespace tessera::sdk {

// Host ids and what they name.  Any thread.
template <typename Object>
class IdTable {
 public:
  explicit IdTable(std::string kind) : kind_(std::move(kind)) {}

  // Throws INVALID_ARGUMENT if the id is 0 or taken.
  void insert(uint64_t id, std::shared_ptr<Object> object) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (id == 0 || !objects_.emplace(id, std::move(object)).second) {
      throw Error(TSR_INVALID_ARGUMENT,
                  kind_ + " id " + std::to_string(id) + " is 0 or taken");
    }
  }
  // Throws NOT_FOUND.
  std::shared_ptr<Object> find(uint64_t id) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = objects_.find(id);
    if (found == objects_.end()) {
      throw Error(TSR_NOT_FOUND,
                  kind_ + " " + std::to_string(id) + " does not exist");
    }
    return found->second;
  }
  void erase(uint64_t id) {
    const std::lock_guard<std::mutex> lock(mutex_);
    objects_.erase(id);
  }

 private:
  std::string kind_;
  mutable std::mutex mutex_;
  std::unordered_map<uint64_t, std::shared_ptr<Object>> objects_;
};

// Memory of the host's, owned or borrowed.
class HostBuffer {
 public:
  HostBuffer(const tsr_host_services& host, uint64_t bytes, uint32_t alignment)
      : host_(&host), owned_(true), bytes_(bytes) {
    memory_ = static_cast<char*>(
        host.alloc(host.host, bytes == 0 ? 1 : bytes, alignment));
    if (memory_ == nullptr) {
      throw Error(TSR_RESOURCE_EXHAUSTED,
                  "no host memory for " + std::to_string(bytes) + " bytes")
          .retry(TSR_RETRY_SMALLER);
    }
  }
  HostBuffer(void* memory, uint64_t bytes)
      : memory_(static_cast<char*>(memory)), bytes_(bytes) {}
  // Memory that goes with its last owner.
  HostBuffer(std::shared_ptr<char> memory, uint64_t bytes)
      : owner_(std::move(memory)), memory_(owner_.get()), bytes_(bytes) {}
  HostBuffer(const HostBuffer&) = delete;
  HostBuffer& operator=(const HostBuffer&) = delete;
  ~HostBuffer() {
    if (owned_) host_->free(host_->host, memory_);
  }

  uint64_t bytes() const { return bytes_; }
  // Throws INVALID_ARGUMENT if [offset, offset + bytes) is not inside.
  char* at(uint64_t offset, uint64_t bytes) const {
    if (offset > bytes_ || bytes > bytes_ - offset) {
      throw Error(TSR_INVALID_ARGUMENT, "bytes " + std::to_string(offset) +
                                            " + " + std::to_string(bytes) +
                                            " of a buffer of " +
                                            std::to_string(bytes_));
    }
    return memory_ + offset;
  }

 private:
  const tsr_host_services* host_ = nullptr;
  bool owned_ = false;
  std::shared_ptr<char> owner_;
  char* memory_ = nullptr;
  uint64_t bytes_;
};

class HostMemoryDevice : public Device {
 public:
  // Allocations are aligned to a cache line.
  static constexpr uint32_t kAlignment = 64;

  explicit HostMemoryDevice(const tsr_host_services& host) : host_(host) {}

  void buffer_create(const tsr_buffer_desc& desc) override {
    buffers_.insert(
        desc.id, std::make_shared<HostBuffer>(host_, desc.bytes, kAlignment));
  }
  void buffer_import(const tsr_buffer_desc& desc, uint32_t type,
                     uint64_t handle) override {
    if (type != TSR_HANDLE_HOST_POINTER) {
      throw Error(TSR_UNIMPLEMENTED, "handle type " + std::to_string(type) +
                                         " cannot be imported");
    }
    buffers_.insert(desc.id, std::make_shared<HostBuffer>(
                                 reinterpret_cast<void*>(handle), desc.bytes));
  }
  uint64_t buffer_export(uint64_t buffer, uint32_t type) override {
    if (type != TSR_HANDLE_HOST_POINTER) {
      throw Error(TSR_UNIMPLEMENTED, "handle type " + std::to_string(type) +
                                         " cannot be exported");
    }
    return reinterpret_cast<uint64_t>(buffers_.find(buffer)->at(0, 0));
  }
  void* buffer_map(uint64_t buffer) override {
    return buffers_.find(buffer)->at(0, 0);
  }
  void buffer_destroy(uint64_t buffer) override { buffers_.erase(buffer); }

  void timeline_import(uint64_t id, tsr_timeline* timeline) override {
    timelines_.insert(
        id, std::shared_ptr<tsr_timeline>(timeline, [](tsr_timeline*) {}));
  }
  void timeline_forget(uint64_t id) override { timelines_.erase(id); }

  void rethrow_last_failure() override {
    const std::lock_guard<std::mutex> lock(failure_mutex_);
    if (last_failure_ != nullptr) std::rethrow_exception(last_failure_);
  }
  // What submitted work threw, for rethrow_last_failure.
  void set_last_failure(std::exception_ptr failure) {
    const std::lock_guard<std::mutex> lock(failure_mutex_);
    last_failure_ = std::move(failure);
  }

  const tsr_host_services& host() const { return host_; }
  std::shared_ptr<HostBuffer> buffer(uint64_t id) const {
    return buffers_.find(id);
  }
  std::shared_ptr<tsr_timeline> timeline(uint64_t id) const {
    return timelines_.find(id);
  }

 protected:
  void add_buffer(uint64_t id, std::shared_ptr<HostBuffer> buffer) {
    buffers_.insert(id, std::move(buffer));
  }

 private:
  const tsr_host_services& host_;
  IdTable<HostBuffer> buffers_{"buffer"};
  IdTable<tsr_timeline> timelines_{"timeline"};
  std::mutex failure_mutex_;
  std::exception_ptr last_failure_;
};

// A queue that does the work inside submit (TSR_DEVICE_SUBMIT_BLOCKS): waits,
// runs, signals.
class BlockingQueue : public Queue {
 public:
  explicit BlockingQueue(HostMemoryDevice& device) : device_(device) {}

  void submit(const SubmissionView& submission) override {
    const tsr_host_services& host = device_.host();
    resolve(submission);
    tsr_status status = TSR_OK;
    for (uint32_t i = 0; i < submission.waits().size(); ++i) {
      const tsr_point point = submission.waits()[i];
      const tsr_status waited =
          host.timeline_wait(host.host, device_.timeline(point.timeline).get(),
                             point.value, UINT64_MAX);
      if (status == TSR_OK) status = waited;
    }
    if (status == TSR_OK) {
      tsr_error err{};
      err.struct_size = sizeof(err);
      status = detail::guard(&err, [&] { run_or_keep_failure(submission); });
      if (status != TSR_OK) {
        host.log(host.host, TSR_LOG_ERROR, err.message);
      }
    } else {
      device_.set_last_failure(nullptr);  // it was not this device's
    }
    for (uint32_t i = 0; i < submission.signals().size(); ++i) {
      const tsr_point point = submission.signals()[i];
      host.timeline_signal(host.host, device_.timeline(point.timeline).get(),
                           point.value, status);
    }
  }

 protected:
  // Does the work of a submission.  What it throws becomes the status of the
  // signal points.
  virtual void run(const SubmissionView& submission) = 0;

  // TSR_SUBMIT_COPY between two buffers; the ranges may overlap.
  void run_copy(const tsr_submission& copy) const {
    char* to = device_.buffer(copy.dst)->at(copy.dst_offset, copy.bytes);
    const char* from =
        device_.buffer(copy.src)->at(copy.src_offset, copy.bytes);
    std::memmove(to, from, copy.bytes);
  }

 private:
  void run_or_keep_failure(const SubmissionView& submission) {
    try {
      run(submission);
    } catch (...) {
      device_.set_last_failure(std::current_exception());
      throw;
    }
  }

  // Throws, before anything runs, if a point names an unknown timeline.
  void resolve(const SubmissionView& submission) const {
    for (uint32_t i = 0; i < submission.waits().size(); ++i) {
      device_.timeline(submission.waits()[i].timeline);
    }
    for (uint32_t i = 0; i < submission.signals().size(); ++i) {
      device_.timeline(submission.signals()[i].timeline);
    }
  }

  HostMemoryDevice& device_;
};

}  // namespace tessera::sdk
