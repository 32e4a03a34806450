// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/vulkan/bench/host_cost.hpp"

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "framework/model/build_graph.hpp"
#include "framework/planner/plan.hpp"
#include "tests/e2e/loaded_model.hpp"
#include "tests/unit/backends/device/bench/rounds.hpp"

namespace tessera::vulkan {
namespace {

using device_test::median;
using device_test::require;

constexpr uint32_t kContext = 512;
constexpr uint32_t kPrompt = 16;
constexpr uint32_t kSteps = 400;

template <typename T>
T take(Result<T> result) {
  require(result.status());
  return std::move(*result);
}

// From the first kernel's begin to the last one's end.
double device_us(const std::vector<tsr_kernel_record>& records) {
  uint64_t begin = UINT64_MAX;
  uint64_t end = 0;
  for (const tsr_kernel_record& record : records) {
    begin = std::min(begin, record.begin_ns);
    end = std::max(end, record.end_ns);
  }
  return static_cast<double>(end - begin) * 1e-3;
}

// What this thread had the processor for: a driver's own threads do the work.
double thread_us() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 +
         static_cast<double>(time.tv_nsec) * 1e-3;
}

// Of decode steps, in us.
struct Parts {
  std::vector<double> step;
  std::vector<double> thread;
  std::vector<double> device;  // only where the session profiles
};

Parts time_steps(Session& session) {
  const uint32_t sequence = take(session.open_sequence());
  const std::vector<int32_t> prompt(kPrompt, 5);
  const Feed prefill{sequence, prompt, TSR_PREFILL, 1};
  require(session.step({&prefill, 1}));
  take(session.take_profile());
  Parts parts;
  for (uint32_t i = 0; i < kSteps; ++i) {
    session.reset_times();
    const double begin = thread_us();
    const Feed decode{sequence, std::span(prompt).first(1), TSR_DECODE, 1};
    require(session.step({&decode, 1}));
    parts.thread.push_back(thread_us() - begin);
    parts.step.push_back(static_cast<double>(session.times().total_ns) * 1e-3);
    if (!session.options().profile) continue;
    parts.device.push_back(device_us(take(session.take_profile())));
  }
  return parts;
}

Parts time_model(const std::shared_ptr<Device>& device, const char* scheme,
                 bool profile) {
  const Model model = take(open_model(e2e::default_model_folder()));
  const Graph graph = take(build_graph(model.config, kContext));
  SessionOptions options;
  options.max_tokens = kPrompt;
  options.max_context = kContext;
  options.profile = profile;
  const auto session = take(Session::create(
      graph, uniform_plan(graph, device->name(), take(find_scheme(scheme))),
      model.source, {{device->name(), device}}, options));
  return time_steps(*session);
}

}  // namespace

void run_host_cost(const std::shared_ptr<Device>& device,
                   const std::string& part) {
  for (const char* scheme : {"w8a8_dynamic", "w4a16", "f32"}) {
    const std::string name = std::string("host cost of a decode, ") + scheme;
    if (name.find(part) == std::string::npos) continue;
    const Parts plain = time_model(device, scheme, false);
    const Parts profiled = time_model(device, scheme, true);
    std::printf(
        "%-34s %4.0f us of the calling thread, least %.0f us; a step takes "
        "%.0f "
        "us, profiled %.0f us and %.0f us of it on the device\n",
        name.c_str(), median(plain.thread),
        *std::min_element(plain.thread.begin(), plain.thread.end()),
        median(plain.step), median(profiled.step), median(profiled.device));
    std::fflush(stdout);
  }
}

}  // namespace tessera::vulkan
