// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <set>
#include <string>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/numerics/object_cases.hpp"

namespace tessera::conformance {
namespace {

void add_numerics_cases(const Claim& claim, const CaseOptions& options,
                        CaseList& cases) {
  add_row_op_cases(claim, options, cases);
  add_linear_cases(claim, options, cases);
  add_attention_cases(claim, options, cases);
  add_kv_append_cases(claim, options, cases);
  add_coverage_cases(claim, cases);
  add_transfer_cases(claim, options, cases);
  add_object_cases(cases);
  add_handle_cases(cases);
}

}  // namespace

std::string row_of(const Case& one) {
  const size_t begin = one.id.find('/') + 1;
  return one.id.substr(begin, one.id.find('/', begin) - begin);
}

std::vector<NamedTrial> one_trial_of_each_kind(const CaseList& cases) {
  std::vector<NamedTrial> trials;
  std::set<std::string> seen;
  for (const Case& one : cases) {
    if (one.trial_kind == nullptr) continue;
    if (seen.insert(one.trial_kind).second) {
      trials.push_back({one.trial_kind, one.trial});
    }
  }
  return trials;
}

void add_trial_cases(const std::string& id, double limit_seconds,
                     const std::vector<NamedTrial>& trials,
                     const TrialBody& body, CaseList& cases) {
  for (const NamedTrial& trial : trials) {
    Case one;
    one.id = id + "/" + trial.name;
    one.limit_seconds = limit_seconds;
    one.run = [make = trial.make, body](CaseContext& context) -> Status {
      TSR_ASSIGN_OR_RETURN(const OpTrial made, make());
      return body(context, made);
    };
    cases.push_back(std::move(one));
  }
}

CaseList generate_cases(const Claim& claim, uint32_t max_level,
                        const CaseOptions& options) {
  CaseList cases;
  add_contract_cases(claim, options, cases);
  // Made at every level: what is asked about structs needs an op to ask with.
  CaseList numerics;
  add_numerics_cases(claim, options, numerics);
  const size_t first = numerics.size();
  add_struct_cases(options, numerics);
  // Behind the numerics, so that a wrong kernel is found by what names it.
  const auto begin =
      numerics.begin() + static_cast<std::ptrdiff_t>(max_level < 1 ? first : 0);
  std::move(begin, numerics.end(), std::back_inserter(cases));
  if (max_level < 1) return cases;
  if (max_level < 2) return cases;
  add_queue_cases(claim, options, cases);
  add_timeline_cases(cases);
  add_argument_cases(options, cases);
  add_fuzz_cases(options, cases);
  add_robustness_cases(claim, options, cases);
  add_large_cases(cases);
  // Last: the first case of a level is begun however little time there is.
  add_sequence_cases(options, cases);
  if (max_level < 3) return cases;
  add_performance_cases(claim, cases);
  return cases;
}

}  // namespace tessera::conformance
