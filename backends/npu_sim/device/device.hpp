// SPDX-License-Identifier: Apache-2.0
//
// A simulated device: computes on the host, keeps time on the simulated chip.

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/npu_sim/device/device_table.hpp"
#include "backends/npu_sim/device/timing.hpp"
#include "backends/npu_sim/device/weights.hpp"
#include "backends/npu_sim/function/attention/kv_pool.hpp"
#include "backends/npu_sim/function/linear/linear.hpp"
#include "backends/npu_sim/function/parallel.hpp"
#include "tessera/shared_memory.hpp"

namespace tessera::npu {

class Program;

struct DeviceOptions {
  Numerics numerics = Numerics::kRef;
  WeightLayout weights = WeightLayout::kNz;
  int64_t cores = 0;  // 0: all
  std::string trace_path;
};

// Throws INVALID_ARGUMENT for an unknown key or value, or more cores than the
// chip has; what the device's health is if its profile could not be read.
DeviceOptions read_options(const DeviceEntry& entry,
                           const sdk::Options& options);

// A layer's KV cache.
struct KvPoolPlace {
  tsr_kv_desc desc{};
  KvPool pool;
  std::shared_ptr<sdk::HostBuffer> buffer;  // keeps the memory
};

class NpuDevice final : public sdk::SharedMemoryDevice {
 public:
  NpuDevice(const tsr_host_services& host, const DeviceEntry& entry,
            const DeviceOptions& options);
  NpuDevice(const NpuDevice&) = delete;
  NpuDevice& operator=(const NpuDevice&) = delete;
  ~NpuDevice() override;

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
  std::string ask(const std::string& extension,
                  const std::string& request) override;

  const Profile& profile() const { return *entry_.profile; }
  const DeviceOptions& options() const { return options_; }
  Parallel parallel() const { return {&host()}; }
  AccumulatorPath accumulator_path() const {
    return {profile().exit.fixpipe, options_.numerics};
  }
  Timing& timing() { return timing_; }

  std::shared_ptr<NpuWeight> weight(uint64_t id) const {
    return weights_.find(id);
  }
  std::shared_ptr<KvPoolPlace> kv_pool(uint64_t id) const {
    return kv_pools_.find(id);
  }
  std::shared_ptr<Program> program(uint64_t id) const {
    return programs_.find(id);
  }
  void add_records(const std::vector<tsr_kernel_record>& records);

 private:
  const DeviceEntry& entry_;
  DeviceOptions options_;
  Timing timing_;
  sdk::IdTable<NpuWeight> weights_{"weight"};
  sdk::IdTable<KvPoolPlace> kv_pools_{"KV pool"};
  sdk::IdTable<Program> programs_{"program"};
  std::mutex records_mutex_;
  std::deque<tsr_kernel_record> records_;
  std::vector<tsr_kernel_record> traced_;  // with a trace file only
};

}  // namespace tessera::npu
