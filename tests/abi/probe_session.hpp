// SPDX-License-Identifier: Apache-2.0
//
// An open device of the probe plugin with one buffer and one timeline, driven
// through the C table alone.

#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/abi/record_builder.hpp"
#include "tests/abi/test_host.hpp"

namespace tessera::abi_test {

inline constexpr uint64_t kBuffer = 1;
inline constexpr uint64_t kBufferBytes = 4096;
inline constexpr uint64_t kTimeline = 2;
inline constexpr uint64_t kWeight = 3;
inline constexpr uint64_t kProgram = 4;
inline constexpr uint64_t kPool = 5;

class ProbeSession {
 public:
  explicit ProbeSession(const std::string& path) : plugin_(path) {
    error.struct_size = sizeof(error);
    require(api().device_open(0, nullptr, &error, &device), "device_open");
    tsr_buffer_desc desc{};
    desc.struct_size = sizeof(desc);
    desc.id = kBuffer;
    desc.bytes = kBufferBytes;
    require(api().buffer_create(device, &desc, &error), "buffer_create");
    require(api().timeline_import(device, kTimeline, &timeline, &error),
            "timeline_import");
    require(api().queue_create(device, &error, &queue), "queue_create");
  }
  ProbeSession(const ProbeSession&) = delete;
  ProbeSession& operator=(const ProbeSession&) = delete;
  ~ProbeSession() {
    api().queue_destroy(queue);
    api().timeline_forget(device, kTimeline);
    api().buffer_destroy(device, kBuffer);
    api().device_close(device);
  }

  const tsr_plugin_header& header() const { return plugin_.header(); }
  const tsr_api& api() { return plugin_.api(); }

  // The buffer as floats.
  float* floats() {
    void* memory = nullptr;
    require(api().buffer_map(device, kBuffer, &error, &memory), "buffer_map");
    return static_cast<float*>(memory);
  }
  // Submits and returns the status of the timeline at `value`.
  tsr_status submit(SubmissionBuilder& builder, uint64_t value) {
    builder.signals = {{kTimeline, value}};
    const auto record = builder.build();
    const tsr_status status =
        api().queue_submit(queue, as_submission(record), &error);
    if (status != TSR_OK) return status;
    return wait_timeline(nullptr, &timeline, value, UINT64_MAX);
  }
  void require(tsr_status status, const char* what) const {
    if (status == TSR_OK) return;
    throw std::runtime_error(std::string(what) + ": " + error.message);
  }

  tsr_error error{};
  tsr_device* device = nullptr;
  tsr_queue* queue = nullptr;
  alignas(64) tsr_timeline timeline{};

 private:
  TestPlugin plugin_;
};

// An F32 weight of N x K whose codes lie at `codes`.
class F32Weight {
 public:
  F32Weight(uint32_t N, uint32_t K, const float* codes) {
    plane.struct_size = sizeof(plane);
    plane.role = TSR_PLANE_CODES;
    plane.dtype = TSR_F32;
    plane.rows = N;
    plane.cols = K;
    plane.row_bytes = K * sizeof(float);
    plane.data = codes;
    desc.struct_size = sizeof(desc);
    desc.format = TSR_WEIGHT_F32;
    desc.N = N;
    desc.K = K;
    desc.planes = {&plane, 1, sizeof(plane)};
  }
  F32Weight(const F32Weight&) = delete;
  F32Weight& operator=(const F32Weight&) = delete;

  tsr_plane plane{};
  tsr_weight_desc desc{};
};

}  // namespace tessera::abi_test
