// SPDX-License-Identifier: Apache-2.0
//
// Level 2: memory that fails, threads, leaks.

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <thread>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/trial/weight_descs.hpp"

namespace tessera::conformance {
namespace {

Status wrong(const std::string& message) { return {TSR_INTERNAL, message}; }

Status run_trial(const std::shared_ptr<Device>& device, const OpTrial& trial) {
  return run_and_check(device, trial, false);
}

// ---- Memory that fails

Status fail_allocs(CaseContext& context, const OpTrial& trial) {
  constexpr uint64_t kMost = 60;
  for (uint64_t k = 1; k <= kMost; ++k) {
    context.drop_device();
    context.allocator().fail_at(k);
    Status status;
    {
      const auto device = context.open_device();
      status = device.ok() ? run_trial(*device, trial) : device.status();
    }
    const bool failed = context.allocator().has_failed();
    context.allocator().stop_failing();
    if (!failed) {
      if (k == 1) return {TSR_UNAVAILABLE, "asks the host for no memory"};
      return status;
    }
    if (!status.ok() && status.code() != TSR_RESOURCE_EXHAUSTED) {
      return wrong(
          fmt::format("allocation {} fails: {} ({}), not "
                      "RESOURCE_EXHAUSTED",
                      k, status_name(status.code()), status.message()));
    }
    TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                         context.open_device());
    TSR_RETURN_IF_ERROR(
        run_trial(device, trial)
            .annotate(fmt::format("after allocation {} failed", k)));
    TSR_RETURN_IF_ERROR(context.allocator().check());
  }
  return {};
}

// ---- Threads

Status run_threads(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       context.open_device());
  constexpr uint32_t kMost = 4;
  const uint32_t runners = std::clamp(device->info().max_queues, 1U, kMost);
  std::vector<Status> results(kMost);
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < kMost; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 6 && results[t].ok(); ++i) {
        if (t < runners) {
          results[t] = run_trial(device, trial);
          continue;
        }
        const WeightDescs weights(trial.setup.weights());
        results[t] = device
                         ->check(trial.setup.question(), weights.all(),
                                 trial.setup.kv_pools())
                         .status();
        const auto kind = device->memory_kind_with(TSR_MEMORY_HOST_VISIBLE);
        if (kind.ok() && results[t].ok()) {
          results[t] = device->create_buffer(1000, *kind).status();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Status& result : results) {
    TSR_RETURN_IF_ERROR(Status(result).annotate("with other threads"));
  }
  return context.allocator().check();
}

// Devices that are opened twice share nothing that closing one takes away.
Status close_one_of_two(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> first,
                       context.open_device());
  TSR_ASSIGN_OR_RETURN(std::shared_ptr<Device> second, context.open_device());
  TSR_RETURN_IF_ERROR(
      run_trial(first, trial).annotate("beside another open device"));
  TSR_RETURN_IF_ERROR(
      run_trial(second, trial).annotate("opened a second time"));
  second.reset();
  TSR_RETURN_IF_ERROR(
      run_trial(first, trial).annotate("once the other device was closed"));
  return context.allocator().check();
}

// ---- Leaks

// Entries of a folder of this process's, "fd" or "task".
size_t count_own(const char* what) {
  std::error_code code;
  const std::filesystem::directory_iterator begin(
      std::string("/proc/self/") + what, code);
  return static_cast<size_t>(std::distance(begin, {}));
}

// What a process has a limited number of.
struct Belongings {
  size_t descriptors = count_own("fd");
  size_t threads = count_own("task");
};

Status check_belongings(const Belongings& before, uint32_t cycles) {
  constexpr size_t kAllowed = 32;  // of a driver, for itself
  const Belongings after;
  const auto check = [cycles](const char* what, size_t was, size_t is) {
    if (is <= was + kAllowed) return Status();
    return wrong(fmt::format("{} {} leaked in {} create and destroy cycles",
                             is - was, what, cycles));
  };
  TSR_RETURN_IF_ERROR(
      check("descriptors", before.descriptors, after.descriptors));
  return check("threads", before.threads, after.threads);
}

size_t heap_bytes() {
#if defined(__GLIBC__) && \
    (__GLIBC__ > 2 || (__GLIBC__ == 2 && __GLIBC_MINOR__ >= 33))
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
#else
  return 0;
#endif
}

Status create_and_destroy(const std::shared_ptr<Device>& device,
                          const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<OpRun> run,
                       OpRun::prepare(device, trial.setup, Memory::kCreated));
  return {};
}

Status find_leaks(CaseContext& context, const OpTrial& trial, uint32_t cycles) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       context.open_device());
  // Caches of the device's, and what the kit itself keeps, fill first.
  constexpr uint32_t kWarm = 150;
  for (uint32_t i = 0; i < kWarm; ++i) {
    TSR_RETURN_IF_ERROR(create_and_destroy(device, trial));
  }
  const size_t live = context.allocator().num_live();
  const size_t heap = heap_bytes();
  const Belongings belongings;
  for (uint32_t i = 0; i < cycles; ++i) {
    TSR_RETURN_IF_ERROR(create_and_destroy(device, trial));
  }
  TSR_RETURN_IF_ERROR(check_belongings(belongings, cycles));
  const size_t live_after = context.allocator().num_live();
  if (live_after > live) {
    return wrong(
        fmt::format("{} pieces of the host's memory leaked in {} "
                    "create and destroy cycles",
                    live_after - live, cycles));
  }
  const size_t after = heap_bytes();
  // The kit's own freed pieces, and 8 bytes a cycle.
  const size_t allowed = (size_t{192} << 10) + size_t{cycles} * 8;
  if (after > heap + allowed) {
    return wrong(fmt::format("{} bytes leaked in {} create and destroy cycles",
                             after - heap, cycles));
  }
  return context.allocator().check();
}

}  // namespace

void add_robustness_cases(const Claim& /*claim*/, const CaseOptions& options,
                          CaseList& cases) {
  const std::vector<NamedTrial> trials = one_trial_of_each_kind(cases);
  const uint32_t cycles = options.quick ? 300 : 10000;
  add_trial_cases("L2/alloc_fails", 60.0, trials, fail_allocs, cases);
  add_trial_cases("L2/threads", 30.0, trials, run_threads, cases);
  add_trial_cases("L2/close_one", 30.0, trials, close_one_of_two, cases);
  add_trial_cases(
      "L2/leaks", 120.0, trials,
      [cycles](CaseContext& context, const OpTrial& trial) {
        return find_leaks(context, trial, cycles);
      },
      cases);
}

}  // namespace tessera::conformance
