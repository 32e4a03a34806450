// SPDX-License-Identifier: Apache-2.0

#include "framework/host/validation/validation.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>

#include "framework/host/device/plugin_error.hpp"

namespace tessera {
namespace {

// What the plugin below does wrong.
tsr_status g_status = TSR_OK;
bool g_endless_message = false;
bool g_maps_to_null = false;
uint32_t g_num_records = 0;
uint32_t g_num_devices = 1;
tsr_segment g_segment{};

tsr_status answer(tsr_error* err) {
  if (g_endless_message) std::memset(err->message, 'x', sizeof(err->message));
  return g_status;
}

void add_packing(tsr_api& api) {
  // NOLINTNEXTLINE(readability-function-size): tsr_api's signature
  api.packing_begin = [](tsr_device*, uint64_t, const tsr_weight_desc*,
                         uint64_t, uint64_t, tsr_error* err,
                         tsr_packing** out) {
    static int packing = 0;
    *out = reinterpret_cast<tsr_packing*>(&packing);
    return answer(err);
  };
  api.packing_slice = [](tsr_packing*, uint32_t, uint32_t,
                         const tsr_weight_desc*,
                         tsr_error* err) { return answer(err); };
  api.packing_end = [](tsr_packing*, uint32_t, tsr_error* err) {
    return answer(err);
  };
}

void add_program(tsr_api& api) {
  api.program_create = [](tsr_device*, const tsr_program_desc*, tsr_error* err,
                          tsr_program_info* out) {
    out->num_segments = 1;
    return answer(err);
  };
  api.program_segment = [](tsr_device*, uint64_t, uint32_t, tsr_error* err,
                           tsr_segment* out) {
    *out = g_segment;
    return answer(err);
  };
}

tsr_api toy_api() {
  tsr_api api{};
  api.struct_size = sizeof(api);
  api.device_open = [](uint32_t, const tsr_array*, tsr_error*,
                       tsr_device** out) {
    static int device = 0;
    *out = reinterpret_cast<tsr_device*>(&device);
    return tsr_status{TSR_OK};
  };
  api.device_close = [](tsr_device*) {};
  api.buffer_create = [](tsr_device*, const tsr_buffer_desc*, tsr_error* err) {
    return answer(err);
  };
  api.buffer_map = [](tsr_device*, uint64_t, tsr_error* err, void** out) {
    static char memory = 0;
    *out = g_maps_to_null ? nullptr : &memory;
    return answer(err);
  };
  api.buffer_destroy = [](tsr_device*, uint64_t) {};
  api.buffer_flush = [](tsr_device*, uint64_t, uint64_t, uint64_t,
                        tsr_error* err) { return answer(err); };
  add_packing(api);
  add_program(api);
  api.profile_read = [](tsr_device*, tsr_error* err, tsr_kernel_record*,
                        uint32_t, uint32_t, uint32_t* out_count) {
    *out_count = g_num_records;
    return answer(err);
  };
  api.device_count = [](tsr_error* err, uint32_t* out_count) {
    *out_count = g_num_devices;
    return answer(err);
  };
  api.device_kernels = [](uint32_t, tsr_error* err, tsr_array* out) {
    *out = {nullptr, 5, sizeof(tsr_kernel_desc)};
    return answer(err);
  };
  return api;
}

class Validation : public testing::Test {
 protected:
  Validation() : api_(validated(toy_api(), "toy")), before_(num_violations()) {
    g_status = TSR_OK;
    g_endless_message = g_maps_to_null = false;
    g_num_records = 0;
    g_num_devices = 1;
    EXPECT_EQ(api_.device_open(0, nullptr, &error_, &device_), TSR_OK);
  }
  // The device has the same address in every test.
  ~Validation() override { api_.device_close(device_); }
  uint64_t broken() const { return num_violations() - before_; }
  tsr_status create(uint64_t id) {
    tsr_buffer_desc desc{};
    desc.struct_size = sizeof(desc);
    desc.id = id;
    desc.bytes = 64;
    return api_.buffer_create(device_, &desc, &error_);
  }

  tsr_api api_;
  uint64_t before_;
  ErrorSlot error_;
  tsr_device* device_ = nullptr;
};

TEST_F(Validation, IsSilentWhereNothingIsWrong) {
  void* memory = nullptr;
  EXPECT_EQ(create(7), TSR_OK);
  EXPECT_EQ(api_.buffer_map(device_, 7, &error_, &memory), TSR_OK);
  api_.buffer_destroy(device_, 7);
  g_status = TSR_RESOURCE_EXHAUSTED;
  EXPECT_EQ(create(8), TSR_RESOURCE_EXHAUSTED);
  EXPECT_EQ(create(8), TSR_RESOURCE_EXHAUSTED);  // its id is still free
  api_.device_close(device_);
  EXPECT_EQ(broken(), 0U);
}

TEST_F(Validation, CountsWhatTheHostDoesWrong) {
  EXPECT_EQ(create(0), TSR_OK);
  EXPECT_EQ(broken(), 1U);
  EXPECT_EQ(create(7), TSR_OK);
  EXPECT_EQ(create(7), TSR_OK);
  EXPECT_EQ(broken(), 2U);
  api_.buffer_destroy(device_, 9);
  EXPECT_EQ(broken(), 3U);
  api_.device_close(device_);  // with two buffers
  EXPECT_EQ(broken(), 4U);
  api_.buffer_destroy(device_, 7);  // of a closed device
  EXPECT_GT(broken(), 4U);
}

TEST_F(Validation, CountsWhatThePluginDoesWrong) {
  g_status = 99;
  EXPECT_EQ(create(1), 99);
  EXPECT_EQ(broken(), 1U);
  g_status = TSR_INTERNAL;
  g_endless_message = true;
  EXPECT_EQ(create(1), TSR_INTERNAL);
  EXPECT_EQ(broken(), 2U);
  g_status = TSR_OK;
  g_endless_message = false;
  g_maps_to_null = true;
  EXPECT_EQ(create(2), TSR_OK);
  void* memory = nullptr;
  EXPECT_EQ(api_.buffer_map(device_, 2, &error_, &memory), TSR_OK);
  EXPECT_EQ(broken(), 3U);
}

// A function that is added to the ABI, and to no check, is found here.
TEST_F(Validation, ChecksEveryCall) {
  using Function = void (*)();
  constexpr size_t kFirst = offsetof(tsr_api, device_count);
  constexpr size_t kCount = (sizeof(tsr_api) - kFirst) / sizeof(Function);
  const tsr_api plain = toy_api();
  for (size_t i = 0; i < kCount; ++i) {
    Function before = nullptr;
    Function checked = nullptr;
    const size_t at = kFirst + i * sizeof(Function);
    std::memcpy(&before, reinterpret_cast<const char*>(&plain) + at,
                sizeof(before));
    std::memcpy(&checked, reinterpret_cast<const char*>(&api_) + at,
                sizeof(checked));
    EXPECT_NE(checked, before) << "function " << i;
  }
}

TEST_F(Validation, HoldsPartsOfBuffersToTheirSize) {
  EXPECT_EQ(create(7), TSR_OK);
  EXPECT_EQ(api_.buffer_flush(device_, 7, 32, 32, &error_), TSR_OK);
  EXPECT_EQ(broken(), 0U);
  EXPECT_EQ(api_.buffer_flush(device_, 7, 33, 32, &error_), TSR_OK);
  EXPECT_EQ(broken(), 1U);
  EXPECT_EQ(api_.buffer_flush(device_, 7, 8, UINT64_MAX, &error_), TSR_OK);
  EXPECT_EQ(broken(), 2U);
}

TEST_F(Validation, HoldsPackingsToTheirRows) {
  EXPECT_EQ(create(7), TSR_OK);
  tsr_weight_desc desc{};
  desc.N = 10;
  tsr_packing* packing = nullptr;
  const auto begin = [&](uint64_t id) {
    EXPECT_EQ(api_.packing_begin(device_, id, &desc, 7, 0, &error_, &packing),
              TSR_OK);
  };
  begin(1);
  EXPECT_EQ(api_.packing_slice(packing, 0, 4, &desc, &error_), TSR_OK);
  EXPECT_EQ(api_.packing_slice(packing, 4, 10, &desc, &error_), TSR_OK);
  EXPECT_EQ(api_.packing_end(packing, 1, &error_), TSR_OK);
  EXPECT_EQ(broken(), 0U);
  begin(2);
  EXPECT_EQ(api_.packing_slice(packing, 4, 11, &desc, &error_), TSR_OK);
  EXPECT_EQ(broken(), 1U);  // the host's
  EXPECT_EQ(api_.packing_end(packing, 1, &error_), TSR_OK);
  EXPECT_EQ(broken(), 2U);  // the plugin takes it without all rows
  begin(3);
  EXPECT_EQ(api_.packing_end(packing, 0, &error_), TSR_OK);
  EXPECT_EQ(broken(), 2U);
}

TEST_F(Validation, HoldsSegmentsToTheirProgram) {
  tsr_program_desc program{};
  program.record_bytes = sizeof(program);
  program.id = 3;
  program.ops.count = 2;
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  EXPECT_EQ(api_.program_create(device_, &program, &error_, &info), TSR_OK);
  tsr_segment segment{};
  g_segment = {sizeof(tsr_segment), 0, 2, 0, "fused"};
  EXPECT_EQ(api_.program_segment(device_, 3, 0, &error_, &segment), TSR_OK);
  EXPECT_EQ(broken(), 0U);
  g_segment.first_op = 1;
  EXPECT_EQ(api_.program_segment(device_, 3, 0, &error_, &segment), TSR_OK);
  EXPECT_EQ(broken(), 1U);
  g_segment.first_op = 0;
  EXPECT_EQ(api_.program_segment(device_, 3, 1, &error_, &segment), TSR_OK);
  EXPECT_EQ(broken(), 2U);
}

TEST_F(Validation, HoldsAnswersToWhatWasAsked) {
  uint32_t count = 0;
  EXPECT_EQ(api_.device_count(&error_, &count), TSR_OK);
  EXPECT_EQ(broken(), 0U);
  g_num_devices = 2;
  EXPECT_EQ(api_.device_count(&error_, &count), TSR_OK);
  EXPECT_EQ(broken(), 1U);
  tsr_array kernels{};
  EXPECT_EQ(api_.device_kernels(0, &error_, &kernels), TSR_OK);
  EXPECT_EQ(broken(), 2U);
  g_num_records = 3;
  tsr_kernel_record records[2] = {};
  EXPECT_EQ(api_.profile_read(device_, &error_, records, 2, sizeof(records[0]),
                              &count),
            TSR_OK);
  EXPECT_EQ(broken(), 3U);
}

}  // namespace
}  // namespace tessera
