// SPDX-License-Identifier: Apache-2.0
//
// The toy plugin in a child process must be what it is in this one.

#include "framework/host/remote/remote_plugin.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "framework/host/loading/registry.hpp"
#include "tessera/record.hpp"
#include "tests/unit/framework/host/toy_linear.hpp"

namespace tessera {
namespace {

using testing::HasSubstr;

class IsolatedPlugin : public testing::Test {
 protected:
  IsolatedPlugin() {
    options_ = test_options();
    options_.log = [this](uint32_t, std::string_view line) {
      const std::lock_guard<std::mutex> lock(mutex_);
      lines_.emplace_back(line);
    };
    Result<std::shared_ptr<Plugin>> plugin =
        Plugin::load_isolated(toy_manifest(), options_);
    EXPECT_TRUE(plugin.ok()) << plugin.status().message();
    plugin_ = *plugin;
  }

  std::shared_ptr<Device> open(uint32_t index, const char* die = "0") {
    const std::pair<std::string, std::string> options[] = {{"die", die}};
    Result<std::shared_ptr<Device>> device =
        Device::open(plugin_, index, options);
    EXPECT_TRUE(device.ok()) << device.status().message();
    return *device;
  }

  std::mutex mutex_;
  std::vector<std::string> lines_;
  HostOptions options_;
  std::shared_ptr<Plugin> plugin_;
};

TEST_F(IsolatedPlugin, IsDescribedAsInProcess) {
  const Result<std::shared_ptr<Plugin>> local =
      Plugin::load(toy_manifest(), test_options());
  ASSERT_TRUE(local.ok());
  EXPECT_TRUE(plugin_->is_isolated());
  EXPECT_EQ(plugin_->name(), (*local)->name());
  EXPECT_EQ(plugin_->version(), (*local)->version());
  EXPECT_EQ(plugin_->build_id(), (*local)->build_id());
  EXPECT_EQ(plugin_->abi_version(), (*local)->abi_version());
  EXPECT_EQ(plugin_->path(), (*local)->path());
  EXPECT_EQ(plugin_->sha256(), (*local)->sha256());
  const auto remote_devices = read_devices(plugin_->api(), "toy");
  const auto local_devices = read_devices((*local)->api(), "toy");
  ASSERT_TRUE(remote_devices.ok() && local_devices.ok());
  ASSERT_EQ(remote_devices->size(), local_devices->size());
  for (size_t i = 0; i < local_devices->size(); ++i) {
    const DeviceFacts& remote = (*remote_devices)[i];
    const DeviceFacts& here = (*local_devices)[i];
    EXPECT_EQ(remote.name, here.name);
    EXPECT_STREQ(remote.info.name, here.info.name);
    EXPECT_EQ(remote.info.health, here.info.health);
    EXPECT_STREQ(remote.options.at(0).key, "die");
    ASSERT_EQ(remote.kernels.size(), here.kernels.size());
    EXPECT_STREQ(remote.kernels[0].name, here.kernels[0].name);
    const auto rules =
        sdk::Elements<tsr_plane_rule>(remote.kernels[0].planes).all();
    ASSERT_EQ(rules.size(), 2u);
    EXPECT_EQ(rules[1].role, uint32_t{TSR_PLANE_INPUT_MULTIPLIER});
  }
}

TEST_F(IsolatedPlugin, OffersNoImportOfHostPointers) {
  const auto device = open(0);
  EXPECT_FALSE(device->memory_kind_with(TSR_MEMORY_IMPORT_HOST).ok());
  EXPECT_TRUE(device->memory_kind_with(TSR_MEMORY_HOST_VISIBLE).ok());
}

TEST_F(IsolatedPlugin, ComputesTheSame) {
  for (const uint32_t index : {0u, 1u}) {  // packs; reads in place
    const auto device = open(index);
    for (const uint32_t N : {1u, 37u}) {
      const ToyWeightData data(N, 24);
      const Result<Weight> weight = device->load_weight(data.desc());
      ASSERT_TRUE(weight.ok()) << weight.status().message();
      const auto y = run_linear(device, *weight, N, 24);
      ASSERT_TRUE(y.ok()) << y.status().message();
      EXPECT_EQ(*y, data.row_sums());
    }
  }
}

// In place, the child has a copy: the host's planes may go.
TEST_F(IsolatedPlugin, KeepsPlanesThatItReadsInPlace) {
  const auto device = open(1);
  auto data = std::make_unique<ToyWeightData>(9, 16);
  const std::vector<float> expected = data->row_sums();
  const Result<Weight> weight = device->load_weight(data->desc());
  ASSERT_TRUE(weight.ok()) << weight.status().message();
  data.reset();
  EXPECT_EQ(*run_linear(device, *weight, 9, 16), expected);
}

TEST_F(IsolatedPlugin, PassesOnWhatThePluginSays) {
  const std::pair<std::string, std::string> options[] = {{"speed", "9"}};
  EXPECT_EQ(Device::open(plugin_, 0, options).status().message(),
            "toy:0: device_open: no option speed");
  const auto device = open(0);
  const ToyWeightData data(4, 8);
  tsr_weight_desc desc = data.desc();
  desc.format = TSR_WEIGHT_U4;
  EXPECT_EQ(device->load_weight(desc).status().message(),
            "toy:0: weight_query: only i8 weights");
  const auto refusals =
      device->check(linear_program(4, 8, 1, 0, 0), {&desc, 1}, {});
  ASSERT_TRUE(refusals.ok()) << refusals.status().message();
  ASSERT_EQ(refusals->size(), 1u);
  EXPECT_STREQ((*refusals)[0].message, "only i8");
  tsr_step_shape step{};
  step.struct_size = sizeof(step);
  EXPECT_EQ(
      device->estimate(linear_program(4, 8, 1, 0, 0), {&desc, 1}, {}, step)
          .status()
          .code(),
      TSR_UNIMPLEMENTED);
  EXPECT_TRUE(device->profile_read()->empty());
}

TEST_F(IsolatedPlugin, AnswersAboutProgramsAndPools) {
  const auto device = open(0);
  const ToyWeightData data(4, 8);
  const Result<Weight> weight = device->load_weight(data.desc());
  const Result<Program> program =
      device->create_program(linear_program(4, 8, weight->id(), 1, 0));
  ASSERT_TRUE(program.ok()) << program.status().message();
  EXPECT_EQ(program->workspace_bytes(), 64u);
  EXPECT_STREQ(program->segments()->at(0).kernel, "linear_f32_i8c");
  tsr_kv_desc desc{};
  desc.struct_size = sizeof(desc);
  desc.num_kv_heads = 2;
  desc.head_dim = 8;
  desc.block_size = 16;
  desc.num_blocks = 3;
  const Result<KvPool> pool = device->create_kv_pool(desc);
  ASSERT_TRUE(pool.ok()) << pool.status().message();
  EXPECT_EQ(pool->bytes(), 3u * 2 * 4 * 2 * 8 * 16);
}

TEST_F(IsolatedPlugin, PassesOnItsLog) {
  open(0);
  // The line comes by a way of its own.
  for (int round = 0; round < 1000; ++round) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!lines_.empty()) break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  ASSERT_FALSE(lines_.empty());
  EXPECT_EQ(lines_[0], "toy opened");
}

TEST_F(IsolatedPlugin, ServesSeveralThreads) {
  const auto device = open(0);
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (uint32_t round = 0; round < 5; ++round) {
        const ToyWeightData data(5 + t, 16);
        const Result<Weight> weight = device->load_weight(data.desc());
        ASSERT_TRUE(weight.ok()) << weight.status().message();
        EXPECT_EQ(*run_linear(device, *weight, 5 + t, 16), data.row_sums());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(IsolatedPlugin, ItsDeathIsAnError) {
  const auto device = open(0, "1");
  const ToyWeightData data(4, 8);
  const Result<Weight> weight = device->load_weight(data.desc());
  ASSERT_TRUE(weight.ok()) << weight.status().message();
  const auto y = run_linear(device, *weight, 4, 8);
  ASSERT_FALSE(y.ok());
  EXPECT_EQ(y.status().code(), TSR_INTERNAL);
  EXPECT_THAT(y.status().message(), HasSubstr("the plugin's process died of"));
  EXPECT_TRUE(device->is_lost());
  EXPECT_EQ(device->last_retry(), uint32_t{TSR_DEVICE_LOST});
  const Status later = device->create_buffer(64, 0).status();
  EXPECT_EQ(later.code(), TSR_INTERNAL);
  Timeline timeline;
  EXPECT_EQ(timeline.import_into(device).status().code(), TSR_INTERNAL);
}

// Children of this process, as the kernel lists them.
std::vector<pid_t> children() {
  std::vector<pid_t> pids;
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "children");
    for (pid_t pid = 0; file >> pid;) pids.push_back(pid);
  }
  return pids;
}

TEST_F(IsolatedPlugin, ItsDeathEndsAWait) {
  const auto device = open(0);
  Timeline timeline;
  ASSERT_TRUE(timeline.import_into(device).ok());
  const std::vector<pid_t> pids = children();
  if (pids.empty()) GTEST_SKIP() << "the kernel lists no children";
  std::thread killer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    for (const pid_t pid : pids) kill(pid, SIGKILL);
  });
  EXPECT_EQ(timeline.wait(1).code(), TSR_INTERNAL);
  killer.join();
  EXPECT_THAT(device->create_queue().status().message(),
              HasSubstr("died of SIGKILL"));
}

TEST(IsolatedPlugins, AMissingManifestIsReportedAsInProcess) {
  const Status here =
      Plugin::load("/nowhere/tsr_plugin_x.json", test_options()).status();
  const Status there =
      Plugin::load_isolated("/nowhere/tsr_plugin_x.json", test_options())
          .status();
  EXPECT_EQ(there.code(), here.code());
  EXPECT_EQ(there.message(), here.message());
}

TEST(IsolatedPlugins, AreChosenByName) {
  RegistryOptions options;
  options.folders = {TSR_BINARY_DIR "/test_plugins"};
  options.isolate = {"toy"};
  options.host = test_options();
  const Registry registry = Registry::discover(options);
  const Result<const DeviceEntry*> entry = registry.find("toy:raw");
  ASSERT_TRUE(entry.ok()) << entry.status().message();
  EXPECT_TRUE((*entry)->plugin->is_isolated());
}

TEST(IsolatedPlugins, SeveralLiveSideBySide) {
  std::vector<std::shared_ptr<Plugin>> plugins;
  for (int i = 0; i < 3; ++i) {
    auto plugin = Plugin::load_isolated(toy_manifest(), test_options());
    ASSERT_TRUE(plugin.ok()) << plugin.status().message();
    plugins.push_back(*plugin);
  }
  plugins.erase(plugins.begin() + 1);
  for (const auto& plugin : plugins) {
    EXPECT_TRUE(Device::open(plugin, 0).ok());
  }
}

}  // namespace
}  // namespace tessera
