// SPDX-License-Identifier: Apache-2.0
//
// Level 2: descriptors and records with nonsense in them.  Any status is right;
// a crash, a hang or a device that no longer works is not.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <set>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/trial/weight_descs.hpp"
#include "framework/host/device/plugin_error.hpp"
#include "tessera/record.hpp"

namespace tessera::conformance {
namespace {

Status wrong(const std::string& message) { return {TSR_INTERNAL, message}; }

// Writes nonsense into one word of a record.
void damage(std::span<std::byte> record, std::mt19937& rng) {
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

Status check_status(tsr_status code) {
  static const std::set<tsr_status> known = {
      TSR_OK,        TSR_CANCELLED,          TSR_INVALID_ARGUMENT,
      TSR_NOT_FOUND, TSR_RESOURCE_EXHAUSTED, TSR_FAILED_PRECONDITION,
      TSR_INTERNAL,  TSR_UNIMPLEMENTED,      TSR_UNAVAILABLE,
      TSR_DATA_LOSS, TSR_DEADLINE_EXCEEDED};
  if (known.count(code) != 0) return {};
  return wrong(fmt::format("status {}", code));
}

// The record between guard pages, claiming no more bytes than it has: that much
// the host makes sure of.
template <typename Head>
Result<GuardedMemory> guarded_record(std::vector<std::byte> record,
                                     const char* label) {
  auto* head = reinterpret_cast<Head*>(record.data());
  const auto bytes = static_cast<uint32_t>(record.size());
  head->record_bytes = std::min(head->record_bytes, bytes);
  head->struct_size = std::min(head->struct_size, bytes);
  TSR_ASSIGN_OR_RETURN(GuardedMemory memory,
                       GuardedMemory::create(record.size(), 8, label));
  std::memcpy(memory.data(), record.data(), record.size());
  return memory;
}

tsr_array array_of(const std::vector<tsr_weight_desc>& descs) {
  return {descs.data(), static_cast<uint32_t>(descs.size()),
          sizeof(tsr_weight_desc)};
}

tsr_array array_of(const std::vector<tsr_kv_desc>& descs) {
  return {descs.data(), static_cast<uint32_t>(descs.size()),
          sizeof(tsr_kv_desc)};
}

Status offer_program(Device& device, const tsr_program_desc* program,
                     const tsr_array& weights, const tsr_array& pools) {
  ErrorSlot error;
  uint32_t count = 0;
  std::vector<tsr_refusal> refusals(4);
  for (tsr_refusal& refusal : refusals) refusal.struct_size = sizeof(refusal);
  TSR_RETURN_IF_ERROR(check_status(
      device.api().check(device.handle(), program, &weights, &pools, &error,
                         refusals.data(), 4, sizeof(tsr_refusal), &count)));
  tsr_program_info info{};
  info.struct_size = sizeof(info);
  const tsr_status code =
      device.api().program_create(device.handle(), program, &error, &info);
  if (code == TSR_OK) {
    device.api().program_destroy(device.handle(), program->id);
  }
  return check_status(code);
}

Status fuzz_programs(CaseContext& context, const OpTrial& trial,
                     uint32_t rounds, uint32_t seed) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       context.open_device());
  // Objects that exist, so that nonsense reaches past the look-up of ids.
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<OpRun> run,
                       OpRun::prepare(device, trial.setup, Memory::kCreated));
  const WeightDescs weights(trial.setup.weights());
  std::mt19937 rng(seed);
  for (uint32_t i = 0; i < rounds; ++i) {
    std::vector<std::byte> record = run->record();
    damage(record, rng);
    if (rng() % 2 == 0) damage(record, rng);
    reinterpret_cast<tsr_program_desc*>(record.data())->id = next_host_id();
    TSR_ASSIGN_OR_RETURN(const GuardedMemory memory,
                         guarded_record<tsr_program_desc>(std::move(record),
                                                          "a program record"));
    TSR_RETURN_IF_ERROR(offer_program(
        *device, reinterpret_cast<const tsr_program_desc*>(memory.data()),
        array_of(weights.all()), array_of(trial.setup.kv_pools())));
  }
  TSR_RETURN_IF_ERROR(
      run_and_check(device, trial, false).annotate("afterwards"));
  return context.allocator().check();
}

// Numbers and bindings decide what an op reads as positions or block ids, which
// plugins need not check: where there are such, the rest of the record is
// damaged alone.
std::vector<std::pair<size_t, size_t>> places_to_damage(const OpSetup& setup,
                                                        size_t record_bytes) {
  const bool has_ints = std::any_of(
      setup.tensors().begin(), setup.tensors().end(),
      [](const SetupTensor& t) { return t.tensor.dtype == TSR_I32; });
  if (!has_ints) return {{0, record_bytes}};
  return {{0, offsetof(tsr_submission, bindings)},
          {offsetof(tsr_submission, src), sizeof(tsr_submission)}};
}

// A timeline that has failed makes every wait end at once, whatever nonsense
// the record asks for.
Status fuzz_submissions(CaseContext& context, const OpTrial& trial,
                        uint32_t rounds, uint32_t seed) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       context.open_device());
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<OpRun> run,
                       OpRun::prepare(device, trial.setup, Memory::kCreated));
  TSR_RETURN_IF_ERROR(run->upload());
  Timeline failed;
  TSR_ASSIGN_OR_RETURN(const uint64_t failed_id, failed.import_into(device));
  failed.fail(TSR_CANCELLED);
  TSR_ASSIGN_OR_RETURN(Queue queue, device->create_queue());
  SubmissionBuilder sound = run->submission(failed_id, 1);
  const auto* bytes = reinterpret_cast<const std::byte*>(&sound.record());
  const size_t size = sound.record().record_bytes;
  const auto places = places_to_damage(trial.setup, size);
  std::mt19937 rng(seed);
  for (uint32_t i = 0; i < rounds; ++i) {
    std::vector<std::byte> record(bytes, bytes + size);
    for (uint32_t times = rng() % 2 + 1; times > 0; --times) {
      const auto [begin, end] = places[rng() % places.size()];
      damage(std::span(record).subspan(begin, end - begin), rng);
    }
    TSR_ASSIGN_OR_RETURN(
        const GuardedMemory memory,
        guarded_record<tsr_submission>(std::move(record), "a submission"));
    (void)queue.submit(*reinterpret_cast<const tsr_submission*>(memory.data()));
    if (device->is_lost()) return wrong("a submission of nonsense lost it");
  }
  // Queues run in order: when this is done, so are those before.
  Timeline last;
  TSR_ASSIGN_OR_RETURN(const uint64_t last_id, last.import_into(device));
  SubmissionBuilder fence = run->submission(last_id, 1);
  TSR_RETURN_IF_ERROR(queue.submit(fence.record()).annotate("afterwards"));
  TSR_RETURN_IF_ERROR(last.wait(1, kPatienceNs).annotate("afterwards"));
  TSR_RETURN_IF_ERROR(
      run_and_check(device, trial, false).annotate("afterwards"));
  return context.allocator().check();
}

// Weights and pools whose numbers are nonsense, asked about without data.
Status fuzz_descs(CaseContext& context, const OpTrial& trial, uint32_t rounds,
                  uint32_t seed) {
  const WeightDescs weights(trial.setup.weights());
  if (weights.all().empty() && trial.setup.kv_pools().empty()) {
    return {TSR_UNAVAILABLE, "has neither weights nor pools"};
  }
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       context.open_device());
  const tsr_api& api = device->api();
  std::mt19937 rng(seed);
  ErrorSlot error;
  const auto spoil = [&](auto& desc) {
    constexpr size_t kHead = sizeof(uint32_t);
    auto* bytes = reinterpret_cast<std::byte*>(&desc);
    damage(std::span(bytes + kHead, 4 * sizeof(uint32_t)), rng);
  };
  for (uint32_t i = 0; i < rounds; ++i) {
    for (tsr_weight_desc desc : weights.all()) {
      std::vector<tsr_plane> planes =
          sdk::Elements<tsr_plane>(desc.planes).all();
      for (tsr_plane& plane : planes) plane.data = nullptr;
      desc.planes.data = planes.data();
      desc.planes.stride = sizeof(tsr_plane);
      if (rng() % 2 == 0) {
        uint32_t* const fields[] = {&desc.format, &desc.N, &desc.K};
        damage(std::as_writable_bytes(std::span(fields[rng() % 3], 1)), rng);
      } else {
        spoil(planes[rng() % planes.size()]);
      }
      tsr_packed_info info{};
      info.struct_size = sizeof(info);
      TSR_RETURN_IF_ERROR(check_status(
          api.weight_query(device->handle(), &desc, &error, &info)));
    }
    for (tsr_kv_desc desc : trial.setup.kv_pools()) {
      spoil(desc);
      tsr_kv_info info{};
      info.struct_size = sizeof(info);
      TSR_RETURN_IF_ERROR(
          check_status(api.kv_query(device->handle(), &desc, &error, &info)));
    }
  }
  TSR_RETURN_IF_ERROR(
      run_and_check(device, trial, false).annotate("afterwards"));
  return context.allocator().check();
}

}  // namespace

void add_fuzz_cases(const CaseOptions& options, CaseList& cases) {
  const std::vector<NamedTrial> trials = one_trial_of_each_kind(cases);
  const uint32_t rounds = options.quick ? 400 : 5000;
  using Fuzz = Status (*)(CaseContext&, const OpTrial&, uint32_t, uint32_t);
  const auto add = [&](const char* id, Fuzz fuzz) {
    add_trial_cases(
        std::string("L2/fuzz/") + id, 60.0, trials,
        [rounds, seed = options.seed, fuzz](CaseContext& context,
                                            const OpTrial& trial) {
          return fuzz(context, trial, rounds, seed);
        },
        cases);
  };
  add("programs", fuzz_programs);
  add("submissions", fuzz_submissions);
  add("descriptors", fuzz_descs);
}

}  // namespace tessera::conformance
