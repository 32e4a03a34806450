// SPDX-License-Identifier: Apache-2.0

#include "framework/host/validation/validation.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "framework/host/plugin_error.hpp"

namespace tessera {
namespace {

// What the plugin below does wrong.
tsr_status g_status = TSR_OK;
bool g_endless_message = false;
bool g_maps_to_null = false;

tsr_status answer(tsr_error* err) {
  if (g_endless_message) std::memset(err->message, 'x', sizeof(err->message));
  return g_status;
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
  return api;
}

class Validation : public testing::Test {
 protected:
  Validation() : api_(validated(toy_api(), "toy")), before_(num_violations()) {
    g_status = TSR_OK;
    g_endless_message = g_maps_to_null = false;
    EXPECT_EQ(api_.device_open(0, nullptr, &error_, &device_), TSR_OK);
  }
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

}  // namespace
}  // namespace tessera
