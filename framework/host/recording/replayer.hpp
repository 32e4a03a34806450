// SPDX-License-Identifier: Apache-2.0
//
// What a replay keeps between calls: each device with its objects, and the
// call that is being made.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/host/recording/replay.hpp"
#include "framework/host/remote/wire.hpp"
#include "framework/host/remote/wire_structs.hpp"
#include "tessera/plugin.h"

namespace tessera::recording {

inline constexpr size_t kHostAlignment = 64;

// Zeros, which become pages once they are written.
class HostMemory {
 public:
  HostMemory() = default;
  // Null if there is no memory, or too much is asked for.
  explicit HostMemory(uint64_t bytes);

  std::byte* get() const { return data_; }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };

  std::unique_ptr<void, Free> owned_;
  std::byte* data_ = nullptr;  // aligned
};

struct ReplayedBuffer {
  uint64_t bytes = 0;
  HostMemory own;               // of an imported one
  std::byte* memory = nullptr;  // once it is mapped
  HostMemory known;             // what the recording says it holds
};

// A weight as it was recorded; stays where it is.
struct ReplayedWeight {
  HostMemory data;
  WireWeight weight;
};

struct alignas(kHostAlignment) ReplayedTimeline {
  tsr_timeline cell{};
};

struct ReplayedDevice {
  tsr_device* handle = nullptr;
  std::map<uint64_t, ReplayedBuffer> buffers;
  std::map<uint64_t, ReplayedWeight> weights;  // whose planes are in place
  std::map<uint64_t, std::unique_ptr<ReplayedTimeline>> timelines;
};

struct ReplayedObject {
  ReplayedDevice* device = nullptr;
  void* handle = nullptr;
};

class Replayer {
 public:
  Replayer(const Recording& recording, const Plugin& plugin,
           const ReplayOptions& options)
      : recording_(recording), api_(plugin.api()), options_(options) {}
  Replayer(const Replayer&) = delete;
  Replayer& operator=(const Replayer&) = delete;
  // Closes what a recording that ends early left open.
  ~Replayer();

  Result<ReplayResult> run();

 private:
  using Handler = tsr_status (Replayer::*)(tsr_error*);
  static const Handler kHandlers[];

  struct Point {
    tsr_timeline* cell;
    uint64_t value;
  };

  Status make_call(const Entry& entry);
  void compare(tsr_status status, const tsr_error& error);
  void differ(const std::string& what);
  // With its queues and packings.
  void close(const ReplayedDevice& device);

  // One for each Call, in their order; arguments from arguments_, what is
  // compared into outputs_.
  tsr_status device_open(tsr_error* err);
  tsr_status device_close(tsr_error* err);
  tsr_status check(tsr_error* err);
  tsr_status estimate(tsr_error* err);
  tsr_status buffer_create(tsr_error* err);
  tsr_status buffer_import(tsr_error* err);
  tsr_status buffer_export(tsr_error* err);
  tsr_status buffer_map(tsr_error* err);
  tsr_status buffer_flush(tsr_error* err);
  tsr_status buffer_invalidate(tsr_error* err);
  tsr_status buffer_destroy(tsr_error* err);
  tsr_status weight_query(tsr_error* err);
  tsr_status packing_begin(tsr_error* err);
  tsr_status packing_slice(tsr_error* err);
  tsr_status packing_end(tsr_error* err);
  tsr_status weight_create(tsr_error* err);
  tsr_status weight_destroy(tsr_error* err);
  tsr_status kv_query(tsr_error* err);
  tsr_status kv_create(tsr_error* err);
  tsr_status kv_destroy(tsr_error* err);
  tsr_status program_create(tsr_error* err);
  tsr_status program_segment(tsr_error* err);
  tsr_status program_destroy(tsr_error* err);
  tsr_status timeline_import(tsr_error* err);
  tsr_status timeline_forget(tsr_error* err);
  tsr_status queue_create(tsr_error* err);
  tsr_status queue_submit(tsr_error* err);
  tsr_status queue_destroy(tsr_error* err);
  tsr_status profile_read(tsr_error* err);
  tsr_status device_last_error(tsr_error* err);
  tsr_status device_ask(tsr_error* err);

  // ---- Arguments

  // End the replay: the call cannot be made.
  tsr_status cannot(const std::string& why);
  tsr_status cut_short() { return cannot("arguments cut short"); }
  // The device that the next argument names; null if it is not open.
  ReplayedDevice* get_device();
  // The object that the next argument names; null if there is none.
  ReplayedObject* get_object(std::map<uint64_t, ReplayedObject>& objects,
                             const char* what);
  uint32_t get_u32();
  uint32_t get_capacity();
  bool get_weight(ReplayedWeight& out);
  bool get_buffer_desc(tsr_buffer_desc& desc, WireExtensions& storage);
  // The name that the recording gave to what this call made.
  uint64_t recorded_ordinal() const;
  tsr_status sync_buffer(decltype(tsr_api::buffer_flush) function,
                         tsr_error* err);
  tsr_status destroy(decltype(tsr_api::kv_destroy) function);

  // ---- Time and contents

  // Raises what the work waits for, as other devices and the host did; returns
  // what it signals.
  static std::vector<Point> reach_waits(const ReplayedDevice& device,
                                        const tsr_submission* work);
  void settle(ReplayedDevice& device, const std::vector<Point>& signals);
  void take_contents(const Entry& entry);
  // Of the submission that was made last.
  void compare_contents();

  const Recording& recording_;
  const tsr_api& api_;
  const ReplayOptions& options_;
  ReplayResult result_;
  const Entry* now_ = nullptr;
  WireReader arguments_;
  WireWriter outputs_;
  bool skips_results_ = false;
  std::string unknown_;                // why the call cannot be made
  ReplayedDevice* written_ = nullptr;  // by a submission; to be compared
  std::map<uint64_t, ReplayedDevice> devices_;
  std::map<uint64_t, ReplayedObject> queues_;
  std::map<uint64_t, ReplayedObject> packings_;
};

}  // namespace tessera::recording
