// SPDX-License-Identifier: Apache-2.0
//
// The cpu device: weights, KV pools and programs by host id.

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "backends/cpu/kernels/attention/kv_layout.hpp"
#include "backends/cpu/kernels/isa.hpp"
#include "backends/cpu/kernels/ops/ops.hpp"
#include "backends/cpu/kernels/parallel.hpp"
#include "tessera/shared_memory.hpp"

namespace tessera::cpu {

class Program;
class PackedWeight;

// A layer's KV cache.
struct KvPoolPlace {
  tsr_kv_desc desc{};
  KvLayout layout;
  std::byte* memory = nullptr;
  std::shared_ptr<sdk::HostBuffer> buffer;  // keeps the memory
};

struct DeviceOptions {
  Isa isa = Isa::kScalar;
  uint32_t num_threads = 0;  // 0: all of the host's
  UseOneDnn use_onednn = UseOneDnn::kAuto;
};

// Throws INVALID_ARGUMENT for an unknown key or value.
DeviceOptions read_options(const sdk::Options& options);

class CpuDevice final : public sdk::SharedMemoryDevice {
 public:
  CpuDevice(const tsr_host_services& host, const DeviceOptions& options);

  std::vector<tsr_refusal> check(const sdk::ProgramQuestion& question) override;
  tsr_estimate estimate(const sdk::ProgramQuestion& question,
                        const tsr_step_shape& step) override;

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

  // What kernels run with.
  Exec exec() const { return {&parallel_, options_.isa, options_.use_onednn}; }
  const Parallel& parallel() const { return parallel_; }
  std::shared_ptr<PackedWeight> weight(uint64_t id) const {
    return weights_.find(id);
  }
  std::shared_ptr<KvPoolPlace> kv_pool(uint64_t id) const {
    return kv_pools_.find(id);
  }
  std::shared_ptr<Program> program(uint64_t id) const {
    return programs_.find(id);
  }
  void add_weight(uint64_t id, std::shared_ptr<PackedWeight> weight) {
    weights_.insert(id, std::move(weight));
  }
  void add_records(const std::vector<tsr_kernel_record>& records);

 private:
  DeviceOptions options_;
  Parallel parallel_;
  sdk::IdTable<PackedWeight> weights_{"weight"};
  sdk::IdTable<KvPoolPlace> kv_pools_{"KV pool"};
  sdk::IdTable<Program> programs_{"program"};
  std::mutex records_mutex_;
  std::deque<tsr_kernel_record> records_;
};

}  // namespace tessera::cpu
