// SPDX-License-Identifier: Apache-2.0
//
// Level 2: failing memory, wrong calls, damaged records, concurrency, leaks.

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <thread>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/trial/weight_descs.hpp"
#include "framework/host/plugin_error.hpp"

namespace tessera::conformance {
namespace {

using TrialMaker = std::function<Result<OpTrial>()>;

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

// ---- Damaged records

// Writes nonsense into one word of a record.
void damage(std::vector<std::byte>& record, std::mt19937& rng) {
  const size_t words = record.size() / sizeof(uint32_t);
  const size_t at = rng() % words * sizeof(uint32_t);
  uint32_t word = 0;
  std::memcpy(&word, &record[at], sizeof(word));
  const uint32_t values[] = {
      0,        1,        UINT32_MAX,   0x7fffffff,
      word + 1, word - 1, word ^ 0x80U, static_cast<uint32_t>(rng())};
  word = values[rng() % std::size(values)];
  std::memcpy(&record[at], &word, sizeof(word));
}

bool is_known_status(tsr_status code) {
  static const std::set<tsr_status> known = {
      TSR_OK,        TSR_CANCELLED,          TSR_INVALID_ARGUMENT,
      TSR_NOT_FOUND, TSR_RESOURCE_EXHAUSTED, TSR_FAILED_PRECONDITION,
      TSR_INTERNAL,  TSR_UNIMPLEMENTED,      TSR_UNAVAILABLE,
      TSR_DATA_LOSS, TSR_DEADLINE_EXCEEDED};
  return known.count(code) != 0;
}

Status fuzz_programs(CaseContext& context, const OpTrial& trial,
                     uint32_t rounds, uint32_t seed) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       context.open_device());
  const WeightDescs weights(trial.setup.weights());
  const tsr_array weight_array{weights.all().data(),
                               static_cast<uint32_t>(weights.all().size()),
                               sizeof(tsr_weight_desc)};
  const tsr_array pool_array{
      trial.setup.kv_pools().data(),
      static_cast<uint32_t>(trial.setup.kv_pools().size()),
      sizeof(tsr_kv_desc)};
  const std::vector<std::byte> sound = trial.setup.question();
  std::mt19937 rng(seed);
  for (uint32_t i = 0; i < rounds; ++i) {
    std::vector<std::byte> record = sound;
    damage(record, rng);
    if (rng() % 2 == 0) damage(record, rng);
    // What lies behind the record is a guard page.
    TSR_ASSIGN_OR_RETURN(
        GuardedMemory memory,
        GuardedMemory::create(record.size(), 8, "a program record"));
    // The host passes no record that claims more than it has.
    auto* head = reinterpret_cast<tsr_program_desc*>(record.data());
    head->record_bytes =
        std::min(head->record_bytes, static_cast<uint32_t>(record.size()));
    head->struct_size =
        std::min(head->struct_size, static_cast<uint32_t>(record.size()));
    head->id = next_host_id();
    std::memcpy(memory.data(), record.data(), record.size());
    const auto* program =
        reinterpret_cast<const tsr_program_desc*>(memory.data());
    ErrorSlot error;
    uint32_t count = 0;
    std::vector<tsr_refusal> refusals(4);
    for (tsr_refusal& refusal : refusals) {
      refusal.struct_size = sizeof(refusal);
    }
    tsr_status code = device->api().check(
        device->handle(), program, &weight_array, &pool_array, &error,
        refusals.data(), 4, sizeof(tsr_refusal), &count);
    if (!is_known_status(code)) return wrong(fmt::format("status {}", code));
    tsr_program_info info{};
    info.struct_size = sizeof(info);
    code =
        device->api().program_create(device->handle(), program, &error, &info);
    if (!is_known_status(code)) return wrong(fmt::format("status {}", code));
    if (code == TSR_OK) {
      device->api().program_destroy(device->handle(), program->id);
    }
  }
  TSR_RETURN_IF_ERROR(run_trial(device, trial).annotate("afterwards"));
  return context.allocator().check();
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

// ---- Leaks

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
  for (uint32_t i = 0; i < cycles; ++i) {
    TSR_RETURN_IF_ERROR(create_and_destroy(device, trial));
  }
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

// ---- Packing that is given up

Status cancel_packing(CaseContext& context, const OpTrial& trial) {
  if (trial.setup.weights().empty()) {
    return {TSR_UNAVAILABLE, "has no weights"};
  }
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       context.open_device());
  const format::WeightData& weight = trial.setup.weights().front();
  const format::WeightView view = weight.view();
  const tsr_weight_desc desc = view.desc();
  TSR_ASSIGN_OR_RETURN(const tsr_packed_info info, device->query_weight(desc));
  if (info.bytes == 0) return {TSR_UNAVAILABLE, "reads weights in place"};
  TSR_ASSIGN_OR_RETURN(Buffer buffer,
                       device->create_buffer(info.bytes, info.memory_kind));
  const size_t live = context.allocator().num_live();
  for (int round = 0; round < 20; ++round) {
    tsr_packing* packing = nullptr;
    ErrorSlot error;
    const uint64_t id = next_host_id();
    const tsr_api& api = device->api();
    tsr_status code = api.packing_begin(device->handle(), id, &desc,
                                        buffer.id(), 0, &error, &packing);
    if (code != TSR_OK) return plugin_status(code, error, "packing_begin");
    code = api.packing_end(packing, 0, &error);
    if (code != TSR_OK) return plugin_status(code, error, "packing_end");
    const std::vector<std::byte> program = trial.setup.record({{id}}, {}, {});
    if (device->create_program(program).ok()) {
      return wrong("a weight whose packing was cancelled exists");
    }
  }
  if (context.allocator().num_live() > live) {
    return wrong("a cancelled packing leaks");
  }
  return run_trial(device, trial).annotate("after a cancelled packing");
}

}  // namespace

void add_robustness_cases(const Claim& /*claim*/, const CaseOptions& options,
                          CaseList& cases) {
  // One trial of each kind of op: kernels of a kind share what can break here.
  std::vector<std::pair<std::string, TrialMaker>> trials;
  std::set<uint32_t> seen;
  for (const Case& one : cases) {
    if (!one.trial) continue;
    const Result<OpTrial> trial = one.trial();
    if (!trial.ok()) continue;
    const uint32_t kind = trial->setup.weights().empty()
                              ? (trial->setup.kv_pools().empty() ? 0U : 1U)
                              : 2U;
    if (seen.insert(kind).second) {
      static const char* const names[] = {"row_op", "kv", "weight"};
      trials.emplace_back(names[kind], one.trial);
    }
    if (seen.size() == 3) break;
  }
  using Body = std::function<Status(CaseContext&, const OpTrial&)>;
  const auto add = [&](const char* id, double limit, const Body& body) {
    for (const auto& [name, make] : trials) {
      Case one;
      one.id = fmt::format("L2/{}/{}", id, name);
      one.limit_seconds = limit;
      one.run = [make = make, body](CaseContext& context) -> Status {
        TSR_ASSIGN_OR_RETURN(const OpTrial trial, make());
        return body(context, trial);
      };
      cases.push_back(std::move(one));
    }
  };
  const uint32_t cycles = options.quick ? 300 : 10000;
  const uint32_t rounds = options.quick ? 400 : 5000;
  add("alloc_fails", 60, fail_allocs);
  add("fuzz_programs", 60,
      [rounds, seed = options.seed](CaseContext& context,
                                    const OpTrial& trial) {
        return fuzz_programs(context, trial, rounds, seed);
      });
  add("threads", 30, run_threads);
  add("cancel_packing", 10, cancel_packing);
  add("leaks", 120, [cycles](CaseContext& context, const OpTrial& trial) {
    return find_leaks(context, trial, cycles);
  });
}

}  // namespace tessera::conformance
