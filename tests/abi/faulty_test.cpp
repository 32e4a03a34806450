// SPDX-License-Identifier: Apache-2.0
//
// The host's answer to every plugin of plugins/faulty: one clear error, and the
// process lives.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "framework/host/device/device.hpp"
#include "framework/host/device/record_builder.hpp"
#include "framework/host/loading/registry.hpp"

namespace tessera {
namespace {

using testing::HasSubstr;

constexpr uint64_t kPatienceNs = 100'000'000;

std::string manifest_of(const std::string& fault) {
  return std::string(TSR_BINARY_DIR "/faulty_plugins/tsr_plugin_") + fault +
         ".json";
}

// How far a faulty plugin gets before the host sees its fault.
enum class Stage { kLoad, kOpen, kCheck, kSubmit, kWait, kDone };

struct Fault {
  const char* name;
  Stage stage;
  tsr_status code;
  const char* message;  // is part of the error's message
  bool isolated;        // is run in a child
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

// clang-format off
constexpr Fault kFaults[] = {
    {"abi_2_only",       Stage::kLoad,  TSR_FAILED_PRECONDITION, "ABI 2.0", false},
    {"abi_inverted",     Stage::kLoad,  TSR_INVALID_ARGUMENT,    "abi_min 1.5", false},
    {"null_header",      Stage::kLoad,  TSR_INVALID_ARGUMENT,    "header: there is none", false},
    {"short_header",     Stage::kLoad,  TSR_INVALID_ARGUMENT,    "header: struct_size 16", false},
    {"no_get_api",       Stage::kLoad,  TSR_INVALID_ARGUMENT,    "no get_api", false},
    {"no_name",          Stage::kLoad,  TSR_INVALID_ARGUMENT,    "no name", false},
    {"wrong_sanitizer",  Stage::kLoad,  TSR_FAILED_PRECONDITION, "sanitizer", false},
    {"get_api_fails",    Stage::kLoad,  TSR_INTERNAL,            "no table today", false},
    {"null_table",       Stage::kLoad,  TSR_INVALID_ARGUMENT,    "stored none", false},
    {"short_table",      Stage::kLoad,  TSR_INVALID_ARGUMENT,    "table: struct_size", false},
    {"huge_table",       Stage::kLoad,  TSR_INVALID_ARGUMENT,    "table: struct_size 1073741824", false},
    {"missing_function", Stage::kLoad,  TSR_INVALID_ARGUMENT,    "no function queue_submit", false},
    {"no_symbol",        Stage::kLoad,  TSR_NOT_FOUND,           "tsr_plugin_query_v1", false},
    {"many_devices",     Stage::kOpen,  TSR_INVALID_ARGUMENT,    "4294967295", false},
    {"null_kernels",     Stage::kOpen,  TSR_INVALID_ARGUMENT,    "kernels", false},
    {"open_exhausted",   Stage::kOpen,  TSR_RESOURCE_EXHAUSTED,  "no memory for a device", false},
    {"open_poisoned",    Stage::kOpen,  TSR_INTERNAL,            "state is damaged", false},
    {"nonsense_refusals", Stage::kCheck, TSR_UNIMPLEMENTED,      "", false},
    {"device_lost",      Stage::kSubmit, TSR_INTERNAL,           "fell off the bus", false},
    {"submit_fails",     Stage::kWait,  TSR_INTERNAL,            "", false},
    {"submit_hangs",     Stage::kWait,  TSR_DEADLINE_EXCEEDED,   "", false},
    {"submit_slow",      Stage::kDone,  TSR_OK,                  "", false},
    {"endless_strings",  Stage::kDone,  TSR_OK,                  "", false},
    {"wrong_sums",       Stage::kDone,  TSR_OK,                  "", false},
    {"submit_aborts",    Stage::kSubmit, TSR_INTERNAL,           "died", true},
    {"submit_throws",    Stage::kSubmit, TSR_INTERNAL,           "", true},
    {"submit_fails",     Stage::kWait,  TSR_INTERNAL,            "", true},
    {"get_api_fails",    Stage::kLoad,  TSR_INTERNAL,            "no table today", true},
    {"device_lost",      Stage::kSubmit, TSR_INTERNAL,           "fell off the bus", true},
};
// clang-format on

// Where a plugin stopped, and with what.
struct Outcome {
  Stage stage = Stage::kDone;
  Status status;
};

// y = x + x over four fixed elements.
std::vector<std::byte> add_program() {
  ProgramBuilder builder;
  tsr_tensor tensor{};
  tensor.dtype = TSR_F32;
  tensor.rank = 1;
  tensor.view_of = TSR_NONE;
  tensor.dims[0] = {4, TSR_DIM_FIXED};
  tsr_op_elementwise add{};
  add.op.kind = TSR_OP_ADD;
  add.a = add.b = builder.add_tensor(tensor);
  add.y = builder.add_tensor(tensor);
  builder.add_op(add);
  return builder.build();
}

// Opens the device and runs one step; the first failure and where it was.
Outcome run_device(const std::shared_ptr<Plugin>& plugin, const Fault& fault) {
  const auto opened = Device::open(plugin, 0);
  if (!opened.ok()) return {Stage::kOpen, opened.status()};
  const auto& device = *opened;

  const auto refusals = device->check(add_program(), {}, {});
  if (!refusals.ok()) return {Stage::kCheck, refusals.status()};
  if (!refusals->empty()) {
    return {Stage::kCheck, {TSR_UNIMPLEMENTED, refusals->front().message}};
  }
  const auto program = device->create_program(add_program());
  if (!program.ok()) return {Stage::kCheck, program.status()};
  auto buffer = device->create_buffer(64, 0);
  auto queue = device->create_queue();
  Timeline timeline;
  const auto id = timeline.import_into(device);
  if (!buffer.ok() || !queue.ok() || !id.ok()) {
    return {Stage::kCheck, {TSR_INTERNAL, "the device's objects failed"}};
  }

  SubmissionBuilder step;
  step.set_program(program->id());
  step.add_binding({0, 0, buffer->id(), 0});
  step.add_binding({1, 0, buffer->id(), 16});
  step.add_signal({*id, 1});
  const Status submitted = queue->submit(step.record());
  if (!submitted.ok()) {
    EXPECT_TRUE(device->is_lost()) << fault.name;
    return {Stage::kSubmit, submitted};
  }
  const bool hangs = fault.code == TSR_DEADLINE_EXCEEDED;
  const Status waited = timeline.wait(1, hangs ? kPatienceNs : UINT64_MAX);
  if (hangs) timeline.fail(TSR_DEADLINE_EXCEEDED);  // the watchdog's part
  return {waited.ok() ? Stage::kDone : Stage::kWait, waited};
}

class FaultyPlugin : public testing::TestWithParam<Fault> {};

TEST_P(FaultyPlugin, GetsOneClearAnswer) {
  const Fault& fault = GetParam();
  const std::string manifest = manifest_of(fault.name);
  const auto plugin = fault.isolated ? Plugin::load_isolated(manifest, {})
                                     : Plugin::load(manifest, {});
  Outcome outcome{Stage::kLoad, plugin.status()};
  if (plugin.ok()) outcome = run_device(*plugin, fault);
  EXPECT_EQ(outcome.stage, fault.stage) << outcome.status.message();
  EXPECT_EQ(outcome.status.code(), fault.code) << outcome.status.message();
  EXPECT_THAT(outcome.status.message(), HasSubstr(fault.message));
}

INSTANTIATE_TEST_SUITE_P(Faults, FaultyPlugin, testing::ValuesIn(kFaults),
                         [](const testing::TestParamInfo<Fault>& param) {
                           return std::string(param.param.name) +
                                  (param.param.isolated ? "_isolated" : "");
                         });

// Its own table only: a host that trusts it writes past its own struct, which
// a guard in the conformance kit sees.  The mutant has no fault unless told.
const std::set<std::string> kNotHere = {"writes_past_struct_size", "mutant"};

TEST(FaultyPlugins, AreAllInTheTable) {
  std::set<std::string> tested = kNotHere;
  for (const Fault& fault : kFaults) tested.insert(fault.name);
  std::set<std::string> built;
  const std::string prefix = "tsr_plugin_";
  for (const auto& file :
       std::filesystem::directory_iterator(TSR_BINARY_DIR "/faulty_plugins")) {
    const std::string stem = file.path().stem().string();
    if (file.path().extension() == ".json") {
      built.insert(stem.substr(prefix.size()));
    }
  }
  EXPECT_EQ(built, tested);
}

TEST(FaultyPlugins, DoNotKeepOthersFromLoading) {
  RegistryOptions options;
  options.folders = {TSR_BINARY_DIR "/faulty_plugins"};
  const Registry registry = Registry::discover(options);
  std::set<std::string> loaded;
  for (const auto& plugin : registry.plugins()) loaded.insert(plugin->name());
  EXPECT_TRUE(loaded.count("submit_slow") == 1);
  EXPECT_TRUE(loaded.count("null_header") == 0);
  EXPECT_GT(registry.failures().size(), 10u);
  for (const PluginFailure& failure : registry.failures()) {
    EXPECT_THAT(failure.path, HasSubstr("tsr_plugin_"));
    EXPECT_FALSE(failure.status.message().empty()) << failure.path;
  }
}

TEST(EndlessStrings, AreCutAtTheirField) {
  const auto plugin = Plugin::load(manifest_of("endless_strings"), {});
  ASSERT_TRUE(plugin.ok());
  const auto device = Device::open(*plugin, 0);
  ASSERT_TRUE(device.ok()) << device.status().message();
  const tsr_device_info& info = (*device)->info();
  EXPECT_LT(strnlen(info.name, sizeof(info.name)), sizeof(info.name));
}

}  // namespace
}  // namespace tessera
