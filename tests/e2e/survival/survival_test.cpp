// SPDX-License-Identifier: Apache-2.0
//
// Generations whose plugin dies, hangs or fails at random points go on with the
// tokens of the same change of plan without a fault, and leave nothing behind.
// TSR_FAULTS=1000 is the long run, TSR_FAULT_SEED another one.

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <random>
#include <thread>

#include "framework/model/build_graph.hpp"
#include "framework/planner/plan.hpp"
#include "tests/e2e/loaded_model.hpp"

namespace tessera::e2e {
namespace {

// Later than any step.
constexpr uint64_t kNever = UINT64_MAX;

// A hang costs this much of the test.  A busy machine may make a sound step
// look like one, which changes no token.
constexpr uint64_t kHangNs = 300'000'000;

struct Kind {
  const char* name;
  int signal;  // to the child from outside; 0: the injector's own fault
};
constexpr Kind kKinds[] = {{"kill", SIGKILL}, {"sigsegv", SIGSEGV},
                           {"stop", SIGSTOP}, {"segv", 0},
                           {"abort", 0},      {"exit", 0},
                           {"hang", 0},       {"exhausted", 0},
                           {"lost", 0},       {"late", 0}};

struct Fault {
  Kind kind;
  uint64_t step = 0;
  uint32_t delay_us = 0;  // of a signal, into the step
};

uint64_t number_from(const char* variable, uint64_t fallback) {
  const char* text = std::getenv(variable);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

std::vector<pid_t> children() {
  std::vector<pid_t> pids;
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "children");
    for (pid_t pid = 0; file >> pid;) pids.push_back(pid);
  }
  return pids;
}

// What a run must not leave behind.
struct Footprint {
  size_t children = 0;
  size_t descriptors = 0;
  size_t shared_maps = 0;
  bool operator==(const Footprint&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Footprint& footprint) {
  return out << footprint.children << " children, " << footprint.descriptors
             << " descriptors, " << footprint.shared_maps << " shared maps";
}

Footprint footprint() {
  Footprint result;
  result.children = children().size();
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator("/proc/self/fd")) {
    ++result.descriptors;
  }
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("memfd:tessera") != std::string::npos) ++result.shared_maps;
  }
  return result;
}

struct Outcome {
  std::vector<std::vector<int32_t>> tokens;
  std::vector<uint64_t> switches;  // steps
  std::string reason;
  uint64_t num_steps = 0;
};

// Prompts in chunks, batches that change, sampled tokens: all that a replay has
// to get right.
class Survival : public ::testing::Test {
 protected:
  void SetUp() override {
    auto model = open_model(default_model_folder());
    ASSERT_TRUE(model.ok()) << model.status().message();
    model_.emplace(std::move(*model));
    const char* texts[] = {"library for", "command line tool to",
                           "Python 3 bindings", "game where"};
    for (const char* text : texts) {
      Request request;
      request.prompt = *model_->tokenizer.encode(text);
      request.max_new_tokens = 8;
      request.sampling.temperature = 1.0f;
      request.sampling.seed = requests_.size();
      requests_.push_back(request);
    }
    auto cpu = open_cpu({}, /*isolate=*/false);
    ASSERT_TRUE(cpu.ok()) << cpu.status().message();
    cpu_ = *cpu;
  }

  // A plugin in a child of its own.
  std::shared_ptr<Device> open_isolated(const std::string& manifest,
                                        const std::string& fault,
                                        uint64_t step_limit_ns) {
    HostOptions options;
    options.isolation.step_limit_ns = step_limit_ns;
    auto plugin = Plugin::load_isolated(manifest, options);
    EXPECT_TRUE(plugin.ok()) << plugin.status().message();
    std::vector<std::pair<std::string, std::string>> values;
    if (!fault.empty()) values.emplace_back("fault", fault);
    auto device = Device::open(*plugin, 0, values);
    EXPECT_TRUE(device.ok()) << device.status().message();
    return device.ok() ? *device : nullptr;
  }

  Graph graph() const { return *build_graph(model_->config, kContext); }
  Plan plan(const std::string& scheme) const {
    return uniform_plan(graph(), "device", *find_scheme(scheme));
  }

  Result<std::unique_ptr<Session>> open_session(
      const std::shared_ptr<Device>& device) const {
    SessionOptions options;
    options.max_seqs = 3;
    options.max_outputs = 3;
    options.max_tokens = 5;
    options.max_context = kContext;
    options.keep_history = true;
    return Session::create(graph(), plan("f32"), model_->source,
                           {{"device", device}}, options);
  }

  // Generates on `first`; the plan to go on with is another scheme on the cpu.
  Outcome generate_on(const std::shared_ptr<Device>& first,
                      std::optional<uint64_t> switch_at,
                      const std::function<void(uint64_t step)>& on_step) {
    Outcome outcome;
    auto session = open_session(first);
    EXPECT_TRUE(session.ok()) << session.status().message();
    if (!session.ok()) return outcome;
    tessera::Survival survival;
    survival.switch_at = switch_at;
    survival.switch_plan = [&](Session& failed, uint64_t step,
                               const Status& failure) {
      outcome.switches.push_back(step);
      outcome.reason = failure.message();
      return failed.switch_plan(plan("w8a8_dynamic"), {{"device", cpu_}});
    };
    if (on_step) on_step(0);
    const auto made = generate(
        **session, requests_, model_->config.eos_ids,
        [&](size_t, int32_t) {
          if (on_step) on_step((*session)->times().num_steps);
          return true;
        },
        survival);
    EXPECT_TRUE(made.ok()) << made.status().message();
    if (!made.ok()) return outcome;
    outcome.num_steps = made->num_steps;
    for (const Generation& generation : made->generations) {
      outcome.tokens.push_back(generation.tokens);
    }
    return outcome;
  }

  // The same change of plan without a fault.
  const Outcome& wanted(uint64_t step) {
    const auto found = wanted_.find(step);
    if (found != wanted_.end()) return found->second;
    return wanted_[step] = generate_on(cpu_, step, nullptr);
  }

  Outcome run_with(const Fault& fault) {
    const bool hangs =
        std::string(fault.kind.name) == "hang" || fault.kind.signal == SIGSTOP;
    const std::string plugins = std::string(TSR_BINARY_DIR);
    const uint64_t limit_ns = hangs ? kHangNs : uint64_t{60'000'000'000};
    if (fault.kind.signal == 0) {
      const auto device = open_isolated(
          INJECTOR_MANIFEST,
          std::string(fault.kind.name) + "@" + std::to_string(fault.step),
          limit_ns);
      return generate_on(device, {}, nullptr);
    }
    const auto device =
        open_isolated(plugins + "/plugins/tsr_plugin_cpu.json", "", limit_ns);
    const std::vector<pid_t> pids = children();
    EXPECT_EQ(pids.size(), 1u);
    std::thread killer;
    const auto strike = [&](uint64_t step) {
      if (step < fault.step || killer.joinable() || pids.empty()) return;
      killer = std::thread([&] {
        std::this_thread::sleep_for(std::chrono::microseconds(fault.delay_us));
        kill(pids[0], fault.kind.signal);
      });
    };
    Outcome outcome = generate_on(device, {}, strike);
    if (killer.joinable()) killer.join();
    return outcome;
  }

  static constexpr uint32_t kContext = 64;
  std::optional<Model> model_;
  std::vector<Request> requests_;
  std::shared_ptr<Device> cpu_;
  std::map<uint64_t, Outcome> wanted_;
};

TEST_F(Survival, NoFaultLosesOrChangesATokenOrLeavesAnythingBehind) {
  const uint64_t num_faults = number_from("TSR_FAULTS", 40);
  const uint64_t seed = number_from("TSR_FAULT_SEED", 42);
  std::mt19937 rng(static_cast<uint32_t>(seed));
  // A fault comes before its plan could have ended.
  const uint64_t num_steps = wanted(kNever).num_steps;
  ASSERT_GT(num_steps, 8u);
  const Footprint before = footprint();
  std::map<std::string, uint64_t> survived;
  for (uint64_t i = 0; i < num_faults; ++i) {
    const Fault fault{kKinds[i % std::size(kKinds)], rng() % num_steps,
                      static_cast<uint32_t>(rng() % 600)};
    SCOPED_TRACE(std::string(fault.kind.name) + " at step " +
                 std::to_string(fault.step) + ", fault " + std::to_string(i) +
                 " of seed " + std::to_string(seed));
    const Outcome outcome = run_with(fault);
    ASSERT_LE(outcome.switches.size(), 1u);
    // A signal may come after the last step.
    ASSERT_TRUE(fault.kind.signal != 0 || outcome.switches.size() == 1u);
    const uint64_t step =
        outcome.switches.empty() ? kNever : outcome.switches[0];
    ASSERT_EQ(outcome.tokens, wanted(step).tokens) << outcome.reason;
    ASSERT_EQ(footprint(), before);
    if (!outcome.switches.empty()) ++survived[fault.kind.name];
  }
  uint64_t total = 0;
  for (const auto& [name, count] : survived) {
    std::printf("  %-10s %llu\n", name.c_str(),
                static_cast<unsigned long long>(count));
    total += count;
  }
  std::printf("  %llu of %llu faults came in the middle of a generation\n",
              static_cast<unsigned long long>(total),
              static_cast<unsigned long long>(num_faults));
  EXPECT_GT(total, num_faults * 3 / 4);
}

TEST_F(Survival, TheSwitchMatters) {
  EXPECT_NE(wanted(2).tokens, wanted(kNever).tokens)
      << "the two plans agree, so that the test above proves less";
}

}  // namespace
}  // namespace tessera::e2e
