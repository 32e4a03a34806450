// SPDX-License-Identifier: Apache-2.0
//
// The probe's device: add and linear in f32 (weights packed by rows of N into a
// transposed copy), KV pools with block copies, estimates and profiles.

#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "tessera/capability.hpp"
#include "tessera/places.hpp"

namespace tessera::probe {

// What the fields of the next minor version carry in tests.
inline constexpr uint32_t kNextMinor = 0x11223344;
// The layout that weights are packed in: W transposed, [K, N].
inline constexpr uint64_t kTransposed = 7;

// Of tsr_kernel_desc.
tsr_array kernel_table();

struct Weight {
  uint32_t N = 0;
  uint32_t K = 0;
  const float* transposed = nullptr;
};

struct Pool {
  uint32_t num_blocks = 0;
  uint64_t block_bytes = 0;
  char* memory = nullptr;
};

class Program;

class ProbeDevice final : public sdk::HostMemoryDevice {
 public:
  using sdk::HostMemoryDevice::HostMemoryDevice;

  bool understands(const std::string& extension) const override;
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
  void weight_destroy(uint64_t weight) override { weights_.erase(weight); }

  tsr_kv_info kv_query(const tsr_kv_desc& desc) override;
  void kv_create(uint64_t pool, const tsr_kv_desc& desc, uint64_t buffer,
                 uint64_t offset) override;
  void kv_destroy(uint64_t pool) override { pools_.erase(pool); }

  tsr_program_info program_create(const sdk::ProgramView& program) override;
  tsr_segment program_segment(uint64_t program, uint32_t index) override;
  void program_destroy(uint64_t program) override { programs_.erase(program); }

  std::unique_ptr<sdk::Queue> queue_create() override;
  std::vector<tsr_kernel_record> profile_read(uint32_t capacity) override;

  std::shared_ptr<Program> program(uint64_t id) const {
    return programs_.find(id);
  }
  std::shared_ptr<Weight> weight(uint64_t id) const {
    return weights_.find(id);
  }
  void copy_blocks(const sdk::SubmissionView& submission) const;
  void record_profile(uint64_t program, uint32_t num_ops);

 private:
  sdk::IdTable<Weight> weights_{"weight"};
  sdk::IdTable<Pool> pools_{"kv pool"};
  sdk::IdTable<Program> programs_{"program"};
  std::mutex profile_mutex_;
  std::vector<tsr_kernel_record> profile_;
};

}  // namespace tessera::probe
