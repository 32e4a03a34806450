// SPDX-License-Identifier: Apache-2.0
//
// Level 1, what objects say of themselves: weights made from bytes that were
// packed before, programs in steps of changing sizes, their segments.

#include "framework/conformance/kit/numerics/object_cases.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "framework/conformance/kit/trial/repacked_weight.hpp"
#include "framework/host/device/plugin_error.hpp"

namespace tessera::conformance {
namespace {

// The same record with another weight.
std::vector<std::byte> with_weight(std::span<const std::byte> record,
                                   uint64_t id) {
  std::vector<std::byte> edited(record.begin(), record.end());
  tsr_program_desc head{};
  std::memcpy(&head, edited.data(), sizeof(head));
  std::memcpy(edited.data() + head.weights.offset, &id, sizeof(id));
  return edited;
}

Status run_repacked(CaseContext& context, OpTrial trial) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  TSR_ASSIGN_OR_RETURN(
      const RepackedWeight again,
      RepackedWeight::make(device, trial.setup.weights()[0].view().desc()));
  trial.setup.edit_program = [&again](std::span<const std::byte> record) {
    return with_weight(record, again.id());
  };
  TSR_RETURN_IF_ERROR(run_and_check(device, trial, /*repeats=*/false));
  return context.allocator().check();
}

// The second step has other numbers than the first.
Status run_changing_steps(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<OpRun> run,
                       OpRun::prepare(device, trial.setup, Memory::kCreated));
  const uint32_t wanted = run->numbers().num_decode_tokens;
  run->numbers().num_decode_tokens = 0;
  TSR_RETURN_IF_ERROR(run->step());
  run->numbers().num_decode_tokens = wanted;
  TSR_RETURN_IF_ERROR(run->step());
  return run->check_values(trial.expected[0]);
}

// Runs one step of fewer tokens than the trial has, or of all.
Status run_of_size(OpRun& run, const OpTrial& trial, uint32_t num_tokens) {
  const tsr_submission before = run.numbers();
  tsr_submission& numbers = run.numbers();
  numbers.num_tokens = num_tokens;
  numbers.num_outputs = std::min(before.num_outputs, num_tokens);
  numbers.num_decode_tokens = std::min(before.num_decode_tokens, num_tokens);
  TSR_RETURN_IF_ERROR(run.step());
  numbers = before;
  for (Expected expected : trial.expected) {
    expected.rows = expected.rows * num_tokens / before.num_tokens;
    TSR_RETURN_IF_ERROR(run.check_values(expected).annotate(
        fmt::format("a step of {} after others", num_tokens)));
  }
  return {};
}

// Prefill and decode in turns, as in a server.  A device that records steps
// does so when a size comes again, and meets its recording after another size.
Status run_changing_sizes(CaseContext& context, const OpTrial& trial) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<OpRun> run,
                       OpRun::prepare(device, trial.setup, Memory::kCreated));
  const uint32_t all = run->numbers().num_tokens;
  for (const uint32_t num_tokens : {all, all, 1U, 1U, 1U, all, 1U, all}) {
    TSR_RETURN_IF_ERROR(run_of_size(*run, trial, num_tokens));
  }
  return context.allocator().check();
}

Status check_segment(const tsr_segment& segment) {
  if (segment.first_op != 0 || segment.num_ops != 1) {
    return {TSR_INTERNAL,
            fmt::format("a segment of {} ops from {} in a program of one",
                        segment.num_ops, segment.first_op)};
  }
  const bool has_end =
      std::memchr(segment.kernel, 0, sizeof(segment.kernel)) != nullptr;
  if (has_end && segment.kernel[0] != '\0') return {};
  return {TSR_INTERNAL,
          "a segment's kernel has no name, or one without an end"};
}

// A kernel that covers the one op, and behind the last segment there is none.
Status check_segments(CaseContext& context, const OpTrial& trial) {
  constexpr uint32_t kMost = 64;
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<OpRun> run,
                       OpRun::prepare(device, trial.setup, Memory::kCreated));
  for (uint32_t index = 0; index < kMost; ++index) {
    ErrorSlot error;
    tsr_segment segment{};
    segment.struct_size = sizeof(segment);
    const tsr_status code = device->api().program_segment(
        device->handle(), run->program_id(), index, &error, &segment);
    if (code != TSR_OK && index > 0) return {};
    TSR_RETURN_IF_ERROR(device->from_plugin(code, error, "program_segment"));
    TSR_RETURN_IF_ERROR(check_segment(segment));
  }
  return {TSR_INTERNAL, "segments without an end"};
}

// A linear whose first rows are decode tokens: "..._dec2".
bool mixes_phases(const Case& one) {
  const size_t at = one.id.find("_dec");
  return at != std::string::npos && at + 4 < one.id.size() &&
         std::isdigit(static_cast<unsigned char>(one.id[at + 4])) != 0;
}

// A linear of several tokens: ".../M5_N17...".
bool has_several_tokens(const Case& one) {
  const size_t at = one.id.find("/M");
  if (at == std::string::npos) return false;
  return std::strtoul(one.id.c_str() + at + 2, nullptr, 10) > 1;
}

}  // namespace

// Groups named "L1/GROUP/KERNEL" stand in barred_kernels.cpp too.
void add_object_cases(CaseList& cases) {
  CaseList added;
  const auto add = [&](const std::string& id, CaseBody body) {
    Case one;
    one.id = id;
    one.run = std::move(body);
    added.push_back(std::move(one));
  };
  std::set<std::string> rows;
  std::set<std::string> mixed_rows;
  std::set<std::string> sized_rows;
  for (const Case& one : cases) {
    if (one.trial && mixes_phases(one) &&
        mixed_rows.insert(row_of(one)).second) {
      add("L1/changing_steps/" + row_of(one),
          [make = one.trial](CaseContext& context) -> Status {
            TSR_ASSIGN_OR_RETURN(const OpTrial trial, make());
            return run_changing_steps(context, trial);
          });
    }
    if (one.trial && has_several_tokens(one) &&
        sized_rows.insert(row_of(one)).second) {
      add("L1/changing_sizes/" + row_of(one),
          [make = one.trial](CaseContext& context) -> Status {
            TSR_ASSIGN_OR_RETURN(const OpTrial trial, make());
            return run_changing_sizes(context, trial);
          });
    }
    const std::string kind = one.trial_kind == nullptr ? "" : one.trial_kind;
    if (kind != "weight" || !rows.insert(row_of(one)).second) continue;
    add("L1/packed_again/" + row_of(one),
        [make = one.trial](CaseContext& context) -> Status {
          TSR_ASSIGN_OR_RETURN(OpTrial trial, make());
          return run_repacked(context, std::move(trial));
        });
  }
  add_trial_cases(
      "L1/segments", Case().limit_seconds, one_trial_of_each_kind(cases),
      [](CaseContext& context, const OpTrial& trial) {
        return check_segments(context, trial);
      },
      added);
  std::move(added.begin(), added.end(), std::back_inserter(cases));
}

}  // namespace tessera::conformance
