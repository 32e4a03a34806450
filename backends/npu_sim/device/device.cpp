// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/device/device.hpp"

#include <charconv>
#include <cstdio>
#include <string>

#include "backends/npu_sim/device/kernel_trace.hpp"
#include "backends/npu_sim/device/queue.hpp"
#include "backends/npu_sim/launches/program.hpp"
#include "backends/npu_sim/questions/simulator.hpp"
#include "tessera/capability.hpp"

namespace tessera::npu {
namespace {

[[noreturn]] void refuse_option(const std::string& key,
                                const std::string& value,
                                const std::string& right) {
  throw sdk::Error(TSR_INVALID_ARGUMENT,
                   "npu_sim: option " + key + "=" + value + " is not " + right);
}

int64_t parse_cores(const Profile& profile, const std::string& value) {
  int64_t cores = 0;
  const char* end = value.data() + value.size();
  const auto parsed = std::from_chars(value.data(), end, cores);
  if (parsed.ec != std::errc() || parsed.ptr != end || cores < 0 ||
      cores > profile.cube_cores) {
    refuse_option("cores", value,
                  "a number from 0 to " + std::to_string(profile.cube_cores));
  }
  return cores;
}

void set_option(const Profile& profile, const std::string& key,
                const std::string& value, DeviceOptions& options) {
  if (key == "numerics") {
    if (value != "ref" && value != "hw") {
      refuse_option(key, value, "ref or hw");
    }
    options.numerics = value == "hw" ? Numerics::kHw : Numerics::kRef;
  } else if (key == "weights") {
    if (value != "nz" && value != "nd") refuse_option(key, value, "nz or nd");
    options.weights = value == "nz" ? WeightLayout::kNz : WeightLayout::kNd;
  } else if (key == "cores") {
    options.cores = parse_cores(profile, value);
  } else if (key == "trace") {
    options.trace_path = value;
  } else {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "npu_sim: no option " + key +
                         "; there are numerics, weights, cores and trace");
  }
}

}  // namespace

DeviceOptions read_options(const DeviceEntry& entry,
                           const sdk::Options& options) {
  if (entry.profile == nullptr) {
    throw sdk::Error(static_cast<tsr_status>(entry.info.health),
                     entry.info.reason);
  }
  DeviceOptions result;
  for (const auto& [key, value] : options) {
    set_option(*entry.profile, key, value, result);
  }
  return result;
}

NpuDevice::NpuDevice(const tsr_host_services& host, const DeviceEntry& entry,
                     const DeviceOptions& options)
    : sdk::SharedMemoryDevice(host),
      entry_(entry),
      options_(options),
      timing_(*entry.profile, options.cores, options.weights) {}

NpuDevice::~NpuDevice() {
  if (options_.trace_path.empty()) return;
  if (!write_kernel_trace(options_.trace_path, profile().name, traced_)) {
    const std::string message =
        "trace " + options_.trace_path + ": the file could not be written";
    host().log(host().host, TSR_LOG_ERROR, message.c_str());
  }
}

std::vector<tsr_refusal> NpuDevice::check(
    const sdk::ProgramQuestion& question) {
  std::vector<tsr_refusal> refusals =
      sdk::check_against(entry_.rows.array(), question);
  for (tsr_refusal& refusal : refusals) {
    const sdk::OpFacts facts = sdk::read_op_facts(question, refusal.op);
    const auto missing = missing_hardware(profile(), facts);
    if (!missing) continue;
    refusal.reason = TSR_REFUSED_FEATURE;
    std::snprintf(refusal.message, sizeof(refusal.message), "%s: %s",
                  sdk::names::op(facts.kind).c_str(), missing->c_str());
  }
  return refusals;
}

tsr_packed_info NpuDevice::weight_query(const tsr_weight_desc& desc) {
  return query_weight(desc);
}

std::unique_ptr<sdk::Packing> NpuDevice::packing_begin(uint64_t,
                                                       const tsr_weight_desc&,
                                                       uint64_t, uint64_t) {
  throw sdk::Error(TSR_FAILED_PRECONDITION,
                   "this weight is used in place, not packed");
}

void NpuDevice::weight_create(uint64_t weight, const tsr_weight_desc& desc,
                              uint64_t, uint64_t) {
  weights_.insert(weight, std::make_shared<NpuWeight>(desc));
}

void NpuDevice::weight_destroy(uint64_t weight) { weights_.erase(weight); }

tsr_kv_info NpuDevice::kv_query(const tsr_kv_desc& desc) {
  tsr_kv_info info{};
  info.struct_size = sizeof(info);
  info.block_bytes = static_cast<uint64_t>(make_kv_layout(desc).block_bytes);
  info.alignment = kAlignment;
  return info;
}

void NpuDevice::kv_create(uint64_t pool, const tsr_kv_desc& desc,
                          uint64_t buffer, uint64_t offset) {
  auto place = std::make_shared<KvPoolPlace>();
  place->desc = desc;
  place->desc.next = nullptr;
  place->pool.layout = make_kv_layout(desc);
  place->buffer = this->buffer(buffer);
  const auto bytes = static_cast<uint64_t>(place->pool.layout.block_bytes *
                                           place->pool.layout.num_blocks);
  place->pool.data =
      reinterpret_cast<std::byte*>(place->buffer->at(offset, bytes));
  kv_pools_.insert(pool, std::move(place));
}

void NpuDevice::kv_destroy(uint64_t pool) { kv_pools_.erase(pool); }

tsr_program_info NpuDevice::program_create(const sdk::ProgramView& program) {
  auto created = std::make_shared<Program>(*this, program);
  const tsr_program_info info = created->info();
  programs_.insert(program.desc().id, std::move(created));
  return info;
}

tsr_segment NpuDevice::program_segment(uint64_t program, uint32_t index) {
  return programs_.find(program)->segment(index);
}

void NpuDevice::program_destroy(uint64_t program) { programs_.erase(program); }

std::unique_ptr<sdk::Queue> NpuDevice::queue_create() {
  return std::make_unique<NpuQueue>(*this);
}

void NpuDevice::add_records(const std::vector<tsr_kernel_record>& records) {
  const std::lock_guard<std::mutex> lock(records_mutex_);
  records_.insert(records_.end(), records.begin(), records.end());
  if (options_.trace_path.empty()) return;
  traced_.insert(traced_.end(), records.begin(), records.end());
}

std::vector<tsr_kernel_record> NpuDevice::profile_read(uint32_t capacity) {
  const std::lock_guard<std::mutex> lock(records_mutex_);
  std::vector<tsr_kernel_record> taken;
  while (!records_.empty() && taken.size() < capacity) {
    taken.push_back(records_.front());
    records_.pop_front();
  }
  return taken;
}

std::string NpuDevice::ask(const std::string& extension,
                           const std::string& request) {
  if (extension != TSR_SIMULATOR_NAME) {
    return sdk::SharedMemoryDevice::ask(extension, request);
  }
  return simulate_request(profile(), accumulator_path().numerics, request);
}

}  // namespace tessera::npu
