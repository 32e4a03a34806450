// SPDX-License-Identifier: Apache-2.0
//
// Level 2, ops of all kernels one after the other on one device.  Every other
// case has a process to itself, and would not see what an op leaves behind for
// the next: a kernel kept under too short a key, a scratch that is taken for
// clean.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/numerics/object_cases.hpp"

namespace tessera::conformance {
namespace {

// Of each kernel, or in all of a quick run.
constexpr size_t kOfEachRow = 8;
constexpr size_t kQuick = 12;

using Sequence = std::vector<std::function<Result<OpTrial>()>>;

// `count` of them, from the first to the last.
Sequence spread(const Sequence& all, size_t count) {
  if (all.size() <= count) return all;
  Sequence some;
  for (size_t i = 0; i < count; ++i) {
    some.push_back(all[i * all.size() / count]);
  }
  return some;
}

// Trials of each kind, by its word in ids.
std::map<std::string, Sequence> sequences(const CaseList& cases, bool quick) {
  std::map<std::string, std::map<std::string, Sequence>> rows_of_kind;
  for (const Case& one : cases) {
    if (one.trial_kind == nullptr) continue;
    rows_of_kind[one.trial_kind][row_of(one)].push_back(one.trial);
  }
  std::map<std::string, Sequence> result;
  for (const auto& [kind, rows] : rows_of_kind) {
    Sequence all;
    for (const auto& [row, trials] : rows) {
      const Sequence some = spread(trials, quick ? 1 : kOfEachRow);
      all.insert(all.end(), some.begin(), some.end());
    }
    result[kind] = quick ? spread(all, kQuick) : all;
  }
  return result;
}

Status run_all(CaseContext& context, const Sequence& sequence) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       context.open_device());
  for (size_t i = 0; i < sequence.size(); ++i) {
    TSR_ASSIGN_OR_RETURN(const OpTrial trial, sequence[i]());
    TSR_RETURN_IF_ERROR(run_and_check(device, trial, false)
                            .annotate("after " + std::to_string(i) +
                                      " other ops on this device"));
  }
  return context.allocator().check();
}

}  // namespace

void add_sequence_cases(const CaseOptions& options, CaseList& cases) {
  for (const auto& [kind, sequence] : sequences(cases, options.quick)) {
    Case one;
    one.id = "L2/one_after_another/" + kind;
    one.limit_seconds = 60.0;
    one.run = [sequence = sequence](CaseContext& context) {
      return run_all(context, sequence);
    };
    cases.push_back(std::move(one));
  }
}

}  // namespace tessera::conformance
