// SPDX-License-Identifier: Apache-2.0
//
// The mutant's device and queue.

#pragma once

#include <atomic>

#include "program.hpp"
#include "rows.hpp"
#include "tessera/shared_memory.hpp"

namespace mutant {

class MutantDevice final : public tessera::sdk::SharedMemoryDevice {
 public:
  explicit MutantDevice(const tsr_host_services& host);
  ~MutantDevice() override;

  bool understands(const std::string& extension) const override;
  void buffer_import(const tsr_buffer_desc& desc, uint32_t type,
                     uint64_t handle) override;
  uint64_t buffer_export(uint64_t buffer, uint32_t type) override;
  std::vector<tsr_refusal> check(
      const tessera::sdk::ProgramQuestion& question) override;

  tsr_estimate estimate(const tessera::sdk::ProgramQuestion& question,
                        const tsr_step_shape& step) override;

  tsr_packed_info weight_query(const tsr_weight_desc& desc) override;
  std::unique_ptr<tessera::sdk::Packing> packing_begin(
      uint64_t weight, const tsr_weight_desc& desc, uint64_t buffer,
      uint64_t offset) override;
  void weight_create(uint64_t weight, const tsr_weight_desc& desc,
                     uint64_t buffer, uint64_t offset) override;
  void weight_destroy(uint64_t weight) override;
  tsr_kv_info kv_query(const tsr_kv_desc& desc) override;
  void kv_create(uint64_t pool, const tsr_kv_desc& desc, uint64_t buffer,
                 uint64_t offset) override;
  void kv_destroy(uint64_t pool) override { pools_.erase(pool); }
  tsr_program_info program_create(
      const tessera::sdk::ProgramView& program) override;
  tsr_segment program_segment(uint64_t program, uint32_t index) override;
  void program_destroy(uint64_t program) override;
  std::unique_ptr<tessera::sdk::Queue> queue_create() override;
  std::vector<tsr_kernel_record> profile_read(uint32_t capacity) override;

  tessera::sdk::IdTable<MutantWeight>& weights() { return weights_; }
  tessera::sdk::IdTable<Pool>& pools() { return pools_; }
  std::shared_ptr<Program> program(uint64_t id) const {
    return programs_.find(id);
  }
  // Throws once another device has closed: what devices share is gone.
  void check_alive() const {
    if (num_closed() != generation_) {
      throw tessera::sdk::Error(TSR_INTERNAL, "the context is gone");
    }
  }
  void record(uint64_t program, uint64_t begin_ns, uint64_t end_ns);

 private:
  static std::atomic<uint32_t>& num_closed() {
    static std::atomic<uint32_t> count = 0;
    return count;
  }

  uint32_t generation_;  // how many had closed when it was opened
  tessera::sdk::IdTable<MutantWeight> weights_{"weight"};
  tessera::sdk::IdTable<Pool> pools_{"kv pool"};
  tessera::sdk::IdTable<Program> programs_{"program"};
  std::mutex mutex_;
  std::vector<tsr_kernel_record> records_;
  std::shared_ptr<tessera::sdk::HostBuffer> cache_;
};

}  // namespace mutant
