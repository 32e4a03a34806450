// SPDX-License-Identifier: Apache-2.0

#include "framework/host/device/device.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/host/device/plugin_error.hpp"
#include "tests/unit/framework/host/fake_plugin.hpp"
#include "tests/unit/framework/host/toy_linear.hpp"

namespace tessera {
namespace {

using testing::HasSubstr;

class ToyDevice : public testing::Test {
 protected:
  ToyDevice() {
    Result<std::shared_ptr<Plugin>> plugin =
        Plugin::load(toy_manifest(), test_options());
    EXPECT_TRUE(plugin.ok()) << plugin.status().message();
    plugin_ = *plugin;
    Result<std::shared_ptr<Device>> device = Device::open(plugin_, 0);
    EXPECT_TRUE(device.ok()) << device.status().message();
    device_ = *device;
  }

  std::shared_ptr<Plugin> plugin_;
  std::shared_ptr<Device> device_;
};

TEST_F(ToyDevice, TellsItsFacts) {
  EXPECT_EQ(device_->name(), "toy:0");
  EXPECT_STREQ(device_->info().name, "toy device 0");
  ASSERT_EQ(device_->kernels().size(), 1u);
  EXPECT_STREQ(device_->kernels()[0].name, "linear_f32_i8c");
  EXPECT_EQ(*device_->memory_kind_with(TSR_MEMORY_HOST_VISIBLE), 0u);
  EXPECT_EQ(device_->memory_kind_with(1u << 20).status().code(), TSR_NOT_FOUND);
}

TEST_F(ToyDevice, ALibraryIsLoadedOnce) {
  EXPECT_EQ(*Plugin::load(toy_manifest(), test_options()), plugin_);
}

TEST_F(ToyDevice, RefusesAnUnknownOption) {
  const std::pair<std::string, std::string> options[] = {{"speed", "9"}};
  const Status status = Device::open(plugin_, 0, options).status();
  EXPECT_EQ(status.code(), TSR_INVALID_ARGUMENT);
  EXPECT_EQ(status.message(), "toy:0: device_open: no option speed");
}

TEST_F(ToyDevice, RefusesADeviceThatIsNotThere) {
  EXPECT_EQ(Device::open(plugin_, 3).status().message(),
            "plugin toy: device 3 of 3");
}

TEST_F(ToyDevice, AnUnhealthyDeviceSaysWhy) {
  const Status status = Device::open(plugin_, 2).status();
  EXPECT_EQ(status.code(), TSR_UNAVAILABLE);
  EXPECT_EQ(status.message(), "toy:2: no toy in slot 2");
}

TEST_F(ToyDevice, ImportsMemoryOfTheHost) {
  alignas(64) float memory[16] = {};
  const Result<Buffer> mine = device_->import_host(memory, sizeof(memory));
  ASSERT_TRUE(mine.ok()) << mine.status().message();
  EXPECT_EQ(mine->bytes(), sizeof(memory));
}

TEST_F(ToyDevice, CopiesBetweenBuffers) {
  Result<Buffer> from = device_->create_buffer(16, 0);
  Result<Buffer> to = device_->create_buffer(16, 0);
  ASSERT_TRUE(from.ok() && to.ok());
  static_cast<char*>(*from->map())[3] = 'x';
  Result<Queue> queue = device_->create_queue();
  ASSERT_TRUE(queue.ok());
  Timeline timeline;
  const Result<uint64_t> id = timeline.import_into(device_);
  ASSERT_TRUE(id.ok());
  SubmissionBuilder copy(TSR_SUBMIT_COPY);
  copy.add_signal({*id, 1});
  copy.record().src = from->id();
  copy.record().dst = to->id();
  copy.record().src_offset = 3;
  copy.record().bytes = 1;
  ASSERT_TRUE(queue->submit(copy.record()).ok());
  EXPECT_TRUE(timeline.wait(1).ok());
  EXPECT_EQ(static_cast<char*>(*to->map())[0], 'x');
  // A failure of the work reaches whoever waits for it.
  copy.record().bytes = 999;
  copy.signal(0).value = 2;
  ASSERT_TRUE(queue->submit(copy.record()).ok());
  EXPECT_EQ(timeline.wait(2).code(), TSR_INVALID_ARGUMENT);
}

TEST_F(ToyDevice, RefusesAMalformedSubmissionAtOnce) {
  Result<Queue> queue = device_->create_queue();
  SubmissionBuilder copy(TSR_SUBMIT_COPY);
  copy.add_signal({999999, 1});
  const Status status = queue->submit(copy.record());
  EXPECT_EQ(status.code(), TSR_NOT_FOUND);
  EXPECT_THAT(status.message(), HasSubstr("toy:0: queue_submit: timeline"));
}

TEST_F(ToyDevice, ChecksAProgram) {
  const ToyWeightData data(4, 8);
  tsr_weight_desc desc = data.desc();
  const std::vector<std::byte> record = linear_program(4, 8, 1, 0, 0);
  auto refusals = device_->check(record, {&desc, 1}, {});
  ASSERT_TRUE(refusals.ok()) << refusals.status().message();
  EXPECT_TRUE(refusals->empty());
  desc.format = TSR_WEIGHT_U4;
  refusals = device_->check(record, {&desc, 1}, {});
  ASSERT_TRUE(refusals.ok()) << refusals.status().message();
  ASSERT_EQ(refusals->size(), 1u);
  EXPECT_EQ((*refusals)[0].reason, uint32_t{TSR_REFUSED_FORMAT});
  EXPECT_EQ((*refusals)[0].nearest, TSR_WEIGHT_I8);
  EXPECT_STREQ((*refusals)[0].message, "only i8");
}

TEST_F(ToyDevice, EstimatesOnlyWhatItCan) {
  const std::vector<std::byte> record = linear_program(4, 8, 1, 0, 0);
  const ToyWeightData data(4, 8);
  const tsr_weight_desc desc = data.desc();
  tsr_step_shape step{};
  step.struct_size = sizeof(step);
  EXPECT_EQ(device_->estimate(record, {&desc, 1}, {}, step).status().code(),
            TSR_UNIMPLEMENTED);
}

TEST_F(ToyDevice, RefusesARecordOfAnotherSize) {
  std::vector<std::byte> record = linear_program(4, 8, 1, 0, 0);
  record.pop_back();
  EXPECT_EQ(device_->create_program(record).status().code(),
            TSR_INVALID_ARGUMENT);
  EXPECT_EQ(device_->create_program({}).status().code(), TSR_INVALID_ARGUMENT);
}

TEST_F(ToyDevice, AProgramTellsItsSegments) {
  const ToyWeightData data(4, 8);
  const Result<Weight> weight = device_->load_weight(data.desc());
  const Result<Program> program =
      device_->create_program(linear_program(4, 8, weight->id(), 1, 0));
  ASSERT_TRUE(program.ok()) << program.status().message();
  EXPECT_EQ(program->workspace_bytes(), 64u);
  const auto segments = program->segments();
  ASSERT_TRUE(segments.ok());
  ASSERT_EQ(segments->size(), 1u);
  EXPECT_STREQ((*segments)[0].kernel, "linear_f32_i8c");
}

TEST_F(ToyDevice, GivesAKvPoolItsMemory) {
  tsr_kv_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.format = TSR_KV_F32;
  desc.num_kv_heads = 2;
  desc.head_dim = 8;
  desc.block_size = 16;
  desc.num_blocks = 3;
  const Result<KvPool> pool = device_->create_kv_pool(desc);
  ASSERT_TRUE(pool.ok()) << pool.status().message();
  EXPECT_EQ(pool->bytes(), 3u * 2 * 4 * 2 * 8 * 16);
}

TEST_F(ToyDevice, ObjectsKeepTheirDeviceOpen) {
  Result<Buffer> buffer = device_->create_buffer(64, 0);
  device_.reset();
  EXPECT_TRUE(buffer->map().ok());
}

// A plugin whose calls fail with a class of failure.
TEST(Device, RemembersWhatMayBeDoneAboutAFailure) {
  static tsr_api api = minimal_api();
  api.device_count = [](tsr_error*, uint32_t* out) {
    *out = 1;
    return tsr_status{TSR_OK};
  };
  api.device_info = [](uint32_t, tsr_error*, tsr_device_info* out) {
    static const tsr_memory_kind kind = {sizeof(kind), 0, 0, 0, 0, 0};
    out->memory_kinds = {&kind, 1, sizeof(kind)};
    return tsr_status{TSR_OK};
  };
  api.device_kernels = [](uint32_t, tsr_error*, tsr_array*) {
    return tsr_status{TSR_OK};
  };
  api.device_open = [](uint32_t, const tsr_array*, tsr_error*, tsr_device**) {
    return tsr_status{TSR_OK};
  };
  api.buffer_create = [](tsr_device*, const tsr_buffer_desc* desc,
                         tsr_error* err) {
    err->retry = desc->bytes == 1 ? TSR_RETRY_SMALLER : TSR_DEVICE_LOST;
    return tsr_status{TSR_RESOURCE_EXHAUSTED};
  };
  fake_state() = {};
  fake_state().api = &api;
  static const tsr_plugin_header header = fake_header();
  const Result<std::shared_ptr<Plugin>> plugin =
      Plugin::adopt(&header, test_options());
  ASSERT_TRUE(plugin.ok()) << plugin.status().message();
  const Result<std::shared_ptr<Device>> device = Device::open(*plugin, 0);
  ASSERT_TRUE(device.ok()) << device.status().message();
  EXPECT_EQ((*device)->name(), "fake");
  const Status status = (*device)->create_buffer(1, 0).status();
  EXPECT_EQ(status.message(), "fake: buffer_create: RESOURCE_EXHAUSTED");
  EXPECT_EQ((*device)->last_retry(), uint32_t{TSR_RETRY_SMALLER});
  EXPECT_FALSE((*device)->is_lost());
  EXPECT_FALSE((*device)->create_buffer(2, 0).ok());
  EXPECT_TRUE((*device)->is_lost());
}

}  // namespace
}  // namespace tessera
