// SPDX-License-Identifier: Apache-2.0
//
// tessera/plugin.hpp - write a plugin in C++ without touching a function
// pointer.
//
// Derive from tessera::sdk::Device and tessera::sdk::Queue, give a backend
// class the static functions listed at TSR_DEFINE_PLUGIN, and end the file with
// TSR_DEFINE_PLUGIN(YourBackend).  The macro fills header and table and turns
// every exception into a status, because nothing may unwind across the
// boundary. A device whose memory is the host's derives from
// tessera::sdk::HostMemoryDevice (tessera/host_memory.hpp) and has buffers,
// timelines and copies for free.

#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tessera/error.hpp"
#include "tessera/plugin.h"
#include "tessera/record.hpp"

namespace tessera::sdk {

using Options = std::vector<std::pair<std::string, std::string>>;

// One packing transaction.  Slices may come from several threads at once.
class Packing {
 public:
  virtual ~Packing() = default;
  virtual void slice(uint32_t n_begin, uint32_t n_end,
                     const tsr_weight_desc& slice) = 0;
  // The weight exists from now on.  Not called if the host cancels.
  virtual void commit() = 0;
};

class Queue {
 public:
  virtual ~Queue() = default;
  // Throws for a malformed submission only; see plugin.h.
  virtual void submit(const SubmissionView& submission) = 0;
};

// The functions of tsr_api that take a device; see there for their contracts.
// Those with a body here are optional.
class Device {
 public:
  virtual ~Device() = default;

  // Whether the device knows an extension of a program, a submission or a
  // descriptor; what it does not know and must understand is refused for it.
  // Extensions of ops are the kernel table's (tsr_kernel_desc).
  virtual bool understands(const std::string& /*extension*/) const {
    return false;
  }

  virtual std::vector<tsr_refusal> check(const ProgramQuestion& question) = 0;
  virtual tsr_estimate estimate(const ProgramQuestion&, const tsr_step_shape&) {
    throw unimplemented("estimate");
  }

  virtual void buffer_create(const tsr_buffer_desc& desc) = 0;
  virtual void buffer_import(const tsr_buffer_desc&, uint32_t /*type*/,
                             uint64_t /*handle*/) {
    throw unimplemented("buffer_import");
  }
  virtual uint64_t buffer_export(uint64_t /*buffer*/, uint32_t /*type*/) {
    throw unimplemented("buffer_export");
  }
  virtual void* buffer_map(uint64_t buffer) = 0;
  virtual void buffer_flush(uint64_t, uint64_t /*offset*/, uint64_t /*bytes*/) {
  }
  virtual void buffer_invalidate(uint64_t, uint64_t, uint64_t) {}
  virtual void buffer_destroy(uint64_t buffer) = 0;

  virtual tsr_packed_info weight_query(const tsr_weight_desc& desc) = 0;
  virtual std::unique_ptr<Packing> packing_begin(uint64_t weight,
                                                 const tsr_weight_desc& desc,
                                                 uint64_t buffer,
                                                 uint64_t offset) = 0;
  virtual void weight_create(uint64_t weight, const tsr_weight_desc& desc,
                             uint64_t buffer, uint64_t offset) = 0;
  virtual void weight_destroy(uint64_t weight) = 0;

  virtual tsr_kv_info kv_query(const tsr_kv_desc&) {
    throw unimplemented("kv_query");
  }
  virtual void kv_create(uint64_t /*pool*/, const tsr_kv_desc&,
                         uint64_t /*buffer*/, uint64_t /*offset*/) {
    throw unimplemented("kv_create");
  }
  virtual void kv_destroy(uint64_t /*pool*/) {}

  virtual tsr_program_info program_create(const ProgramView& program) = 0;
  virtual tsr_segment program_segment(uint64_t program, uint32_t index) = 0;
  virtual void program_destroy(uint64_t program) = 0;

  virtual void timeline_import(uint64_t id, tsr_timeline* timeline) = 0;
  virtual void timeline_forget(uint64_t id) = 0;

  virtual std::unique_ptr<Queue> queue_create() = 0;

  // The answer to tsr_api.device_ask.
  virtual std::string ask(const std::string& extension,
                          const std::string& /*request*/) {
    throw Error(TSR_UNIMPLEMENTED, "extension " + extension + " is unknown");
  }

  // Finished kernels of profiled submissions, oldest first, at most `capacity`.
  virtual std::vector<tsr_kernel_record> profile_read(uint32_t /*capacity*/) {
    return {};
  }

 protected:
  static Error unimplemented(const char* function) {
    return {TSR_UNIMPLEMENTED, std::string(function) + " is not implemented"};
  }
};

}  // namespace tessera::sdk

#include "tessera/detail/table.hpp"

// Backend has the static functions
//
//   const char* name();        "cpu"
//   const char* version();     "1.2.0"
//   uint32_t device_count();
//   tsr_device_info device_info(uint32_t index);      index is in range
//   tsr_array device_kernels(uint32_t index);         of tsr_kernel_desc
//   std::unique_ptr<tessera::sdk::Device> open(uint32_t index,
//                                         const tessera::sdk::Options& options,
//                                         const tsr_host_services& host);
//
// and, if it likes,
//
//   static constexpr uint32_t kFlags = ...;           TSR_PLUGIN_*
//   void connect(const tsr_host_services& host);      before all of the above
//                                                     but name and version
//
// What device_info and device_kernels point at stays valid while the library is
// loaded.
#define TSR_DEFINE_PLUGIN(Backend)                                       \
  extern "C" TSR_EXPORT const tsr_plugin_header* tsr_plugin_query_v1() { \
    return tessera::sdk::detail::plugin_header<Backend>();               \
  }
