// SPDX-License-Identifier: Apache-2.0
//
// One open Vulkan device: its pipelines and the host's objects on it.

#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "backends/vulkan/device_table.hpp"
#include "backends/vulkan/features.hpp"
#include "backends/vulkan/kv_pool.hpp"
#include "backends/vulkan/runtime/buffer.hpp"
#include "backends/vulkan/runtime/gpu.hpp"
#include "backends/vulkan/runtime/pipelines.hpp"
#include "backends/vulkan/runtime/staging_ring.hpp"
#include "tessera/host_memory.hpp"
#include "tessera/roofline.hpp"

namespace tessera::vulkan {

class PackedWeight;
class Program;

class VulkanDevice final : public sdk::HostMemoryDevice {
 public:
  VulkanDevice(const tsr_host_services& host, const DeviceEntry& entry,
               const Features& features);
  ~VulkanDevice() override;
  VulkanDevice(const VulkanDevice&) = delete;
  VulkanDevice& operator=(const VulkanDevice&) = delete;

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

  const Features& features() const { return features_; }
  Gpu& gpu() { return gpu_; }
  Pipelines& pipelines() { return pipelines_; }
  // Returns when it is done.  The ranges may overlap.
  void copy(uint32_t lane, const BufferRange& from, const BufferRange& to,
            uint64_t bytes);
  // The same, one after the other, in one submission.
  void copy(uint32_t lane, const std::vector<BufferCopy>& copies);
  StagingRing& ring() { return ring_; }
  // True if the host's writes into the buffer's memory are all it takes.
  bool writes_in_place(const Buffer& buffer) const;

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
  std::shared_ptr<Buffer> import_memory(void* memory, uint64_t bytes);
  const sdk::RooflineRates& rates();

  const DeviceEntry& entry_;
  Features features_;
  Gpu gpu_;
  Pipelines pipelines_;
  StagingRing ring_;
  sdk::IdTable<Buffer> buffers_{"buffer"};
  sdk::IdTable<PackedWeight> weights_{"weight"};
  sdk::IdTable<KvPool> kv_pools_{"KV pool"};
  sdk::IdTable<Program> programs_{"program"};
  std::mutex rates_mutex_;
  std::optional<sdk::RooflineRates> rates_;  // none until first asked for
  std::mutex records_mutex_;
  std::deque<tsr_kernel_record> records_;
};

}  // namespace tessera::vulkan
