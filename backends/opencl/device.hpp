// SPDX-License-Identifier: Apache-2.0
//
// One open OpenCL device: its context, its compiled kernels, and the host's
// objects on it.

#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/opencl/device_options.hpp"
#include "backends/opencl/device_table.hpp"
#include "backends/opencl/runtime/buffer.hpp"
#include "backends/opencl/runtime/cl_handles.hpp"
#include "backends/opencl/runtime/command_buffer.hpp"
#include "backends/opencl/runtime/kernel_library.hpp"
#include "tessera/host_memory.hpp"
#include "tessera/kv_layout.hpp"

namespace tessera::opencl {

class PackedWeight;
class Program;

// A layer's KV cache.
struct KvPool {
  tsr_kv_desc desc{};
  sdk::KvPlace place;
  std::shared_ptr<Buffer> buffer;
};

class OpenClDevice final : public sdk::HostMemoryDevice {
 public:
  OpenClDevice(const tsr_host_services& host, const DeviceEntry& entry,
               const DeviceOptions& options);
  ~OpenClDevice() override;
  OpenClDevice(const OpenClDevice&) = delete;
  OpenClDevice& operator=(const OpenClDevice&) = delete;

  std::vector<tsr_refusal> check(const sdk::ProgramQuestion& question) override;
  tsr_estimate estimate(const sdk::ProgramQuestion& question,
                        const tsr_step_shape& step) override;

  void buffer_create(const tsr_buffer_desc& desc) override;
  void buffer_import(const tsr_buffer_desc& desc, uint32_t type,
                     uint64_t handle) override;
  uint64_t buffer_export(uint64_t buffer, uint32_t type) override;
  void* buffer_map(uint64_t buffer) override;
  void buffer_destroy(uint64_t buffer) override;

  tsr_packed_info weight_query(const tsr_weight_desc& desc) override;
  std::unique_ptr<sdk::Packing> packing_begin(uint64_t weight,
                                              const tsr_weight_desc& desc,
                                              uint64_t buffer,
                                              uint64_t offset) override;
  void weight_create(uint64_t weight, const tsr_weight_desc& desc,
                     uint64_t buffer, uint64_t offset) override;
  void weight_destroy(uint64_t weight) override;

  tsr_kv_info kv_query(const tsr_kv_desc& desc) override;
  void kv_create(uint64_t pool, const tsr_kv_desc& desc, uint64_t buffer,
                 uint64_t offset) override;
  void kv_destroy(uint64_t pool) override;

  tsr_program_info program_create(const sdk::ProgramView& program) override;
  tsr_segment program_segment(uint64_t program, uint32_t index) override;
  void program_destroy(uint64_t program) override;

  std::unique_ptr<sdk::Queue> queue_create() override;
  std::vector<tsr_kernel_record> profile_read(uint32_t capacity) override;

  // The queue for transfers outside steps, one user at a time.
  class QueueLock {
   public:
    QueueLock(std::mutex& mutex, cl_command_queue queue)
        : lock_(mutex), queue_(queue) {}
    cl_command_queue get() const { return queue_; }

   private:
    std::unique_lock<std::mutex> lock_;
    cl_command_queue queue_;
  };
  QueueLock lock_queue() { return {queue_mutex_, transfer_queue_.get()}; }

  cl_context context() const { return context_.get(); }
  const DeviceFacts& facts() const { return entry_.facts; }
  const DeviceOptions& options() const { return options_; }
  KernelLibrary& kernels() { return kernels_; }
  const CommandBufferApi& command_buffers() const { return command_buffers_; }
  // Stands for tensors that an op lacks: OpenCL takes no null argument.
  cl_mem nothing() const { return nothing_->memory(); }

  QueueHandle make_queue() const;
  // Memory that the host does not see.
  std::shared_ptr<Buffer> create_private(uint64_t bytes);
  std::shared_ptr<Buffer> find_buffer(uint64_t id) const {
    return buffers_.find(id);
  }
  std::shared_ptr<PackedWeight> weight(uint64_t id) const {
    return weights_.find(id);
  }
  void add_weight(uint64_t id, std::shared_ptr<PackedWeight> weight) {
    weights_.insert(id, std::move(weight));
  }
  std::shared_ptr<KvPool> kv_pool(uint64_t id) const {
    return kv_pools_.find(id);
  }
  std::shared_ptr<Program> program(uint64_t id) const {
    return programs_.find(id);
  }
  void add_records(const std::vector<tsr_kernel_record>& records);

 private:
  Sharing sharing_of(uint32_t memory_kind) const;

  const DeviceEntry& entry_;
  DeviceOptions options_;
  ContextHandle context_;
  QueueHandle transfer_queue_;
  std::mutex queue_mutex_;
  KernelLibrary kernels_;
  CommandBufferApi command_buffers_;
  std::shared_ptr<Buffer> nothing_;
  sdk::IdTable<Buffer> buffers_{"buffer"};
  sdk::IdTable<PackedWeight> weights_{"weight"};
  sdk::IdTable<KvPool> kv_pools_{"KV pool"};
  sdk::IdTable<Program> programs_{"program"};
  std::mutex records_mutex_;
  std::deque<tsr_kernel_record> records_;
};

}  // namespace tessera::opencl
