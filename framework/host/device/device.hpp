// SPDX-License-Identifier: Apache-2.0
//
// A device of a plugin as C++: every call of tsr_api as a method that returns a
// Status.  It works the same over a table in this process and over one in a
// child.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/host/device/device_facts.hpp"
#include "framework/host/device/device_objects.hpp"
#include "framework/host/device/queue.hpp"
#include "framework/host/device/timeline.hpp"
#include "framework/host/device/weight.hpp"
#include "framework/host/loading/plugin_library.hpp"
#include "tessera/plugin.h"

namespace tessera {

using DeviceOptions = std::span<const std::pair<std::string, std::string>>;

// Any thread.  Objects made from it keep it open, and it keeps its plugin.
class Device : public std::enable_shared_from_this<Device> {
 public:
  // Errors  INVALID_ARGUMENT for an unknown option or value;
  //         what the device's health is, unless it is OK
  static Result<std::shared_ptr<Device>> open(std::shared_ptr<Plugin> plugin,
                                              uint32_t index,
                                              DeviceOptions options = {});
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // As the registry spells it: "cpu", "npu_sim:310p".
  const std::string& name() const { return facts_.name; }
  const Plugin& plugin() const { return *plugin_; }
  // What it points at lives as long as the library.
  const tsr_device_info& info() const { return facts_.info; }
  const std::vector<tsr_memory_kind>& memory_kinds() const {
    return facts_.memory_kinds;
  }
  // Best first among those that run the same op.
  const std::vector<tsr_kernel_desc>& kernels() const { return facts_.kernels; }
  const std::vector<tsr_kernel_desc>& skipped_kernels() const {
    return facts_.skipped_kernels;
  }

  // The first memory kind that has all of `flags` (TSR_MEMORY_*).
  // Errors: NOT_FOUND.
  Result<uint32_t> memory_kind_with(uint32_t flags) const;

  Result<Buffer> create_buffer(uint64_t bytes, uint32_t memory_kind);
  // A buffer over memory that the caller keeps alive.
  // Errors: UNIMPLEMENTED if this device, or this piece of memory, cannot.
  Result<Buffer> import_host(void* memory, uint64_t bytes);

  // Packs a weight, in slices of rows on the threads of the host's pool.  If
  // the device reads the planes where they are (Weight::in_place), they must
  // stay readable until the Weight is destroyed.
  //
  // Requires  every plane of `desc` carries data
  Result<Weight> load_weight(const tsr_weight_desc& desc);
  // The same for a weight whose rows are made on the way: `desc` has data in
  // the small planes only, and `produce` is called for slices of rows, from
  // several threads.  What the device reads in place is kept by the Weight.
  Result<Weight> load_weight(const tsr_weight_desc& desc,
                             const SliceProducer& produce);
  // What packing `desc` would give; needs no data.
  Result<tsr_packed_info> query_weight(const tsr_weight_desc& desc);

  Result<KvPool> create_kv_pool(const tsr_kv_desc& desc);

  // `record` is a tsr_program_desc and its arrays; its id is filled in.
  Result<Program> create_program(std::vector<std::byte> record);
  // Why `record` cannot run here; empty if it can.  `weights` and `kv_pools`
  // are in the program's order and need no data.
  Result<std::vector<tsr_refusal>> check(
      std::span<const std::byte> record,
      std::span<const tsr_weight_desc> weights,
      std::span<const tsr_kv_desc> kv_pools);
  // Errors: UNIMPLEMENTED if the device estimates nothing.
  Result<tsr_estimate> estimate(std::span<const std::byte> record,
                                std::span<const tsr_weight_desc> weights,
                                std::span<const tsr_kv_desc> kv_pools,
                                const tsr_step_shape& step);

  Result<Queue> create_queue();

  // All records of profiled submissions that are finished, oldest first.
  Result<std::vector<tsr_kernel_record>> profile_read();

  // The answer of an extension of the device; see tsr_api.device_ask.
  // Errors: UNIMPLEMENTED if the device does not name it.
  Result<std::string> ask(const std::string& extension,
                          std::string_view request);

  // What the caller may do about the latest failure: TSR_RETRY_* and what
  // follows it.
  uint32_t last_retry() const { return last_retry_.load(); }
  // True once a call has reported the device lost or the plugin poisoned.
  bool is_lost() const { return lost_.load(); }
  // `failure` of submitted work, with what the device has to say about it.
  Status explain(const Status& failure);

  // For the objects of a device ----------------------------------------------

  const tsr_api& api() const { return plugin_->api(); }
  tsr_device* handle() const { return handle_; }
  // The Status of a call named `function` that returned `code` and `error`.
  Status from_plugin(tsr_status code, const tsr_error& error,
                     const char* function);

 private:
  Device(std::shared_ptr<Plugin> plugin, DeviceFacts facts, tsr_device* handle);

  std::shared_ptr<Plugin> plugin_;
  DeviceFacts facts_;
  tsr_device* handle_;
  std::atomic<uint32_t> last_retry_{TSR_RETRY_NEVER};
  std::atomic<bool> lost_{false};
};

}  // namespace tessera
