// SPDX-License-Identifier: Apache-2.0

#include "framework/host/recording/replay.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <type_traits>

#include "framework/base/mapped_file.hpp"
#include "framework/host/recording/recorder.hpp"
#include "tests/unit/framework/host/temporary_folder.hpp"
#include "tests/unit/framework/host/toy_linear.hpp"

namespace tessera::recording {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr uint32_t N = 5;
constexpr uint32_t K = 16;
constexpr uint64_t kLimit = uint64_t{64} << 20;

// A function that says OK and does nothing.
template <typename Return, typename... Arguments>
void fill_ok(Return (*&function)(Arguments...)) {
  function = [](Arguments...) {
    if constexpr (!std::is_void_v<Return>) return Return{TSR_OK};
  };
}

// A plugin like `plugin`, but for its table.
std::shared_ptr<Plugin> with_table(const Plugin& plugin, const tsr_api& api) {
  PluginParts parts;
  parts.identity = {plugin.name(), plugin.version(), plugin.build_id(),
                    plugin.flags()};
  parts.api = api;
  parts.pool = std::make_shared<ThreadPool>(2);
  return std::make_shared<Plugin>(std::move(parts));
}

class Replay : public testing::Test {
 protected:
  Replay() : plugin_(*Plugin::load(toy_manifest(), test_options())) {}

  // Loads a weight and runs a linear; `index` 1 reads planes in place.
  void record(uint32_t index, uint64_t limit = kLimit) {
    ASSERT_TRUE(start(path_, limit).ok());
    run_recorded(index);
    ASSERT_TRUE(finish().ok());
  }
  void run_recorded(uint32_t index) {
    const auto recorded_plugin = with_table(
        *plugin_,
        recorded(plugin_->api(), {"toy", "1", "build", "", 0, {}, false}));
    const auto device = Device::open(recorded_plugin, index);
    ASSERT_TRUE(device.ok()) << device.status().message();
    const ToyWeightData data(N, K);
    const Result<Weight> weight = (*device)->load_weight(data.desc());
    ASSERT_TRUE(weight.ok()) << weight.status().message();
    const auto sums = run_linear(*device, *weight, N, K);
    ASSERT_TRUE(sums.ok()) << sums.status().message();
    EXPECT_EQ(*sums, data.row_sums());
  }
  // What the recording at path_ says of `api`.
  Result<ReplayResult> replay_on(const tsr_api& api) {
    told_.clear();
    TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path_));
    TSR_ASSIGN_OR_RETURN(const Recording recording,
                         read_recording(file.bytes()));
    EXPECT_TRUE(recording.is_complete);
    ReplayOptions options;
    options.differs = [this](uint64_t, Call call, const std::string& what) {
      told_.push_back(std::string(call_name(call)) + " " + what);
    };
    return replay(recording, *with_table(*plugin_, api), options);
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "calls";
  std::shared_ptr<Plugin> plugin_;
  std::vector<std::string> told_;
};

TEST_F(Replay, OfTheSamePluginFindsNoDifference) {
  for (const uint32_t index : {0U, 1U}) {
    record(index);
    const auto result = replay_on(plugin_->api());
    ASSERT_TRUE(result.ok()) << result.status().message();
    EXPECT_EQ(result->differences, 0u) << told_.front();
    EXPECT_GE(result->calls, 12u);
    EXPECT_GE(result->compared_bytes, N * sizeof(float));
    EXPECT_EQ(result->survived, "");
  }
}

TEST_F(Replay, NamesTheCallThatAnswersDifferently) {
  record(0);
  tsr_api other = plugin_->api();
  other.program_segment = nullptr;  // nobody asks
  other.weight_query = [](tsr_device*, const tsr_weight_desc*, tsr_error* err,
                          tsr_packed_info*) {
    std::snprintf(err->message, sizeof(err->message), "no weights today");
    return tsr_status{TSR_UNIMPLEMENTED};
  };
  const auto result = replay_on(other);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_THAT(
      told_,
      ElementsAre("weight_query answers 12 (no weights today), recorded 0"));
}

tsr_status (*g_submit)(tsr_queue*, const tsr_submission*, tsr_error*) = nullptr;
float* g_output = nullptr;
tsr_status (*g_map)(tsr_device*, uint64_t, tsr_error*, void**) = nullptr;

TEST_F(Replay, SeesOneBitOfAnOutput) {
  record(0);
  g_submit = plugin_->api().queue_submit;
  g_map = plugin_->api().buffer_map;
  tsr_api other = plugin_->api();
  other.buffer_map = [](tsr_device* device, uint64_t id, tsr_error* err,
                        void** out) {
    const tsr_status status = g_map(device, id, err, out);
    g_output = static_cast<float*>(*out) + K;
    return status;
  };
  other.queue_submit = [](tsr_queue* queue, const tsr_submission* work,
                          tsr_error* err) {
    const tsr_status status = g_submit(queue, work, err);
    *reinterpret_cast<uint32_t*>(g_output + 1) ^= 1U;
    return status;
  };
  const auto result = replay_on(other);
  ASSERT_TRUE(result.ok()) << result.status().message();
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_THAT(told_[0], HasSubstr("queue_submit writes 1 other bytes"));
}

TEST_F(Replay, StopsAtAnObjectThatIsNotThere) {
  record(0);
  tsr_api other = plugin_->api();
  other.queue_create = [](tsr_device*, tsr_error*, tsr_queue**) {
    return tsr_status{TSR_RESOURCE_EXHAUSTED};
  };
  const auto result = replay_on(other);
  EXPECT_EQ(result.status().code(), TSR_INVALID_ARGUMENT);
  EXPECT_THAT(result.status().message(), HasSubstr("there is no such queue"));
}

TEST_F(Replay, OfARecordingThatReachedItsLimitEndsThere) {
  record(0, 2048);
  ASSERT_LE(std::filesystem::file_size(path_), 2048u);
  const auto result = replay_on(plugin_->api());
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->differences, 0u);
  EXPECT_LT(result->calls, 12u);
}

TEST_F(Replay, AFileIsThereOnceItIsWhole) {
  ASSERT_TRUE(start(path_, kLimit).ok());
  run_recorded(0);
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_TRUE(std::filesystem::exists(path_ + ".partial"));
  ASSERT_TRUE(finish().ok());
  EXPECT_TRUE(std::filesystem::exists(path_));
  EXPECT_FALSE(std::filesystem::exists(path_ + ".partial"));
}

// Every word of a recording replaced by others: whatever the file says, this
// program only says no.  The plugin is one that touches nothing.
TEST_F(Replay, OfDamagedFilesEnds) {
  record(0);
  const std::string text = read_file(path_);
  std::vector<uint64_t> words(text.size() / sizeof(uint64_t));
  const tsr_api silent = [] {
    tsr_api api{};
    const auto ok = [](auto&... functions) { (fill_ok(functions), ...); };
    ok(api.device_open, api.check, api.estimate, api.buffer_create,
       api.buffer_import, api.buffer_export, api.buffer_map, api.buffer_flush,
       api.buffer_invalidate, api.weight_query, api.packing_begin,
       api.packing_slice, api.packing_end, api.weight_create, api.kv_query,
       api.kv_create, api.program_create, api.program_segment,
       api.timeline_import, api.queue_create, api.queue_submit,
       api.profile_read, api.device_last_error, api.device_ask,
       api.device_close, api.buffer_destroy, api.weight_destroy, api.kv_destroy,
       api.program_destroy, api.timeline_forget, api.queue_destroy);
    return api;
  }();
  ReplayOptions options;
  options.limit_ns = 0;
  const auto plugin = with_table(*plugin_, silent);
  size_t replayed = 0;
  for (size_t at = 2; at < words.size(); ++at) {
    for (const uint64_t value :
         {uint64_t{0}, uint64_t{1}, uint64_t{1} << 33, UINT64_MAX}) {
      std::memcpy(words.data(), text.data(), text.size());
      words[at] = value;
      const auto recording = read_recording(std::as_bytes(std::span(words)));
      if (!recording.ok() || recording->plugins.empty()) continue;
      const auto result = replay(*recording, *plugin, options);
      ++replayed;
      EXPECT_TRUE(result.ok() || !result.status().message().empty());
    }
  }
  EXPECT_GT(replayed, 100u);
}

}  // namespace
}  // namespace tessera::recording
