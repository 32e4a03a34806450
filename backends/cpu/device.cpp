// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/device.hpp"

#include <charconv>
#include <string>

#include "backends/cpu/capabilities.hpp"
#include "backends/cpu/program.hpp"
#include "backends/cpu/queue.hpp"
#include "backends/cpu/weights.hpp"
#include "tessera/capability.hpp"

namespace tessera::cpu {
namespace {

[[noreturn]] void refuse_option(const std::string& key,
                                const std::string& value) {
  throw sdk::Error(TSR_INVALID_ARGUMENT,
                   "cpu: option " + key + "=" + value + " is not known");
}

UseOneDnn parse_use_onednn(const std::string& value) {
  if (value == "auto") return UseOneDnn::kAuto;
  if (value == "always") return UseOneDnn::kAlways;
  if (value != "never") refuse_option("onednn", value);
  return UseOneDnn::kNever;
}

Parallel host_parallel(const tsr_host_services& host, uint32_t num_threads) {
  Parallel parallel;
  parallel.num_threads = num_threads == 0 ? host.num_threads : num_threads;
  parallel.context = const_cast<tsr_host_services*>(&host);
  parallel.run = [](void* context, uint32_t num_tasks,
                    void (*task)(void* task_context, uint32_t index),
                    void* task_context) {
    const auto& services = *static_cast<const tsr_host_services*>(context);
    services.parallel_for(services.host, num_tasks, task, task_context);
  };
  if (parallel.num_threads <= 1) return Parallel{};
  return parallel;
}

}  // namespace

DeviceOptions read_options(const sdk::Options& options) {
  DeviceOptions result;
  result.isa = best_isa();
  for (const auto& [key, value] : options) {
    if (key == "isa") {
      const auto isa = value == "best" ? best_isa() : parse_isa(value);
      if (!isa) refuse_option(key, value);
      if (*isa > best_isa()) {
        throw sdk::Error(TSR_INVALID_ARGUMENT,
                         "cpu: this machine has no " + value);
      }
      result.isa = *isa;
    } else if (key == "onednn") {
      result.use_onednn = parse_use_onednn(value);
    } else if (key == "threads") {
      const char* end = value.data() + value.size();
      const auto parsed =
          std::from_chars(value.data(), end, result.num_threads);
      if (parsed.ec != std::errc() || parsed.ptr != end) {
        refuse_option(key, value);
      }
    } else {
      refuse_option(key, value);
    }
  }
  return result;
}

CpuDevice::CpuDevice(const tsr_host_services& host,
                     const DeviceOptions& options)
    : sdk::SharedMemoryDevice(host),
      options_(options),
      parallel_(host_parallel(host, options.num_threads)) {}

std::vector<tsr_refusal> CpuDevice::check(
    const sdk::ProgramQuestion& question) {
  return sdk::check_against(kernel_rows(), question);
}

tsr_packed_info CpuDevice::weight_query(const tsr_weight_desc& desc) {
  return query_weight(desc);
}

std::unique_ptr<sdk::Packing> CpuDevice::packing_begin(
    uint64_t weight, const tsr_weight_desc& desc, uint64_t buffer,
    uint64_t offset) {
  return begin_packing(*this, weight, desc, buffer, offset);
}

void CpuDevice::weight_create(uint64_t weight, const tsr_weight_desc& desc,
                              uint64_t buffer, uint64_t offset) {
  weights_.insert(weight, create_weight(*this, desc, buffer, offset));
}

void CpuDevice::weight_destroy(uint64_t weight) { weights_.erase(weight); }

tsr_kv_info CpuDevice::kv_query(const tsr_kv_desc& desc) {
  const KvLayout layout = make_kv_layout(desc);
  tsr_kv_info info{};
  info.struct_size = sizeof(info);
  info.block_bytes = static_cast<uint64_t>(layout.block_bytes);
  info.alignment = kAlignment;
  return info;
}

void CpuDevice::kv_create(uint64_t pool, const tsr_kv_desc& desc,
                          uint64_t buffer, uint64_t offset) {
  auto place = std::make_shared<KvPoolPlace>();
  place->desc = desc;
  place->layout = make_kv_layout(desc);
  place->buffer = this->buffer(buffer);
  const auto bytes = static_cast<uint64_t>(place->layout.block_bytes *
                                           place->layout.num_blocks);
  place->memory =
      reinterpret_cast<std::byte*>(place->buffer->at(offset, bytes));
  kv_pools_.insert(pool, std::move(place));
}

void CpuDevice::kv_destroy(uint64_t pool) { kv_pools_.erase(pool); }

tsr_program_info CpuDevice::program_create(const sdk::ProgramView& program) {
  auto created = std::make_shared<Program>(*this, program);
  const tsr_program_info info = created->info();
  programs_.insert(program.desc().id, std::move(created));
  return info;
}

tsr_segment CpuDevice::program_segment(uint64_t program, uint32_t index) {
  return programs_.find(program)->segment(index);
}

void CpuDevice::program_destroy(uint64_t program) { programs_.erase(program); }

std::unique_ptr<sdk::Queue> CpuDevice::queue_create() {
  return std::make_unique<CpuQueue>(*this);
}

void CpuDevice::add_records(const std::vector<tsr_kernel_record>& records) {
  const std::lock_guard<std::mutex> lock(records_mutex_);
  records_.insert(records_.end(), records.begin(), records.end());
}

std::vector<tsr_kernel_record> CpuDevice::profile_read(uint32_t capacity) {
  const std::lock_guard<std::mutex> lock(records_mutex_);
  std::vector<tsr_kernel_record> taken;
  while (!records_.empty() && taken.size() < capacity) {
    taken.push_back(records_.front());
    records_.pop_front();
  }
  return taken;
}

}  // namespace tessera::cpu
