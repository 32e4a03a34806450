// SPDX-License-Identifier: Apache-2.0
//
// From an op that might be claimed to a case: inside it must compute, outside
// it must be refused.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/trial/weight_descs.hpp"
#include "tessera/names.hpp"

namespace tessera::conformance {
namespace {

const tsr_kernel_desc* find_row_named(const Claim& claim,
                                      const std::string& name) {
  for (const tsr_kernel_desc& row : claim.rows()) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

// A refusal must say what is wrong and where.
Status check_refusal(const tsr_refusal& refusal) {
  if (refusal.reason == TSR_REFUSED_NOTHING) {
    return {TSR_INTERNAL, "a refusal without a reason"};
  }
  if (refusal.field[0] == '\0' || refusal.message[0] == '\0') {
    return {TSR_INTERNAL, "a refusal that names no field or has no message"};
  }
  if (refusal.op != TSR_NONE && refusal.op != 0) {
    return {TSR_INTERNAL,
            fmt::format("refuses op {} of a program of one", refusal.op)};
  }
  return {};
}

// `check` refuses with a reason, and program_create refuses as well.
Status expect_refusal(CaseContext& context, const OpSetup& setup,
                      const std::string& why) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device, context.device());
  const WeightDescs weights(setup.weights());
  const Result<std::vector<tsr_refusal>> refusals =
      device->check(setup.question(), weights.all(), setup.kv_pools());
  if (!refusals.ok()) {
    const bool clear = refusals.status().code() == TSR_UNIMPLEMENTED ||
                       refusals.status().code() == TSR_INVALID_ARGUMENT;
    if (clear) {
      return {TSR_INTERNAL, "check refuses without a tsr_refusal: " +
                                refusals.status().message()};
    }
    return refusals.status();
  }
  if (refusals->empty()) {
    return {TSR_INTERNAL, "accepts what its kernel table excludes: " + why};
  }
  TSR_RETURN_IF_ERROR(check_refusal(refusals->front()));
  if (!setup.weights().empty() || !setup.kv_pools().empty()) return {};
  const Result<Program> program = device->create_program(setup.question());
  if (program.ok()) {
    return {TSR_INTERNAL, "program_create takes what check refuses: " + why};
  }
  return {};
}

const char* trial_kind(const OpSetup& setup) {
  if (!setup.weights().empty()) return "weight";
  return setup.kv_pools().empty() ? "row_op" : "kv";
}

}  // namespace

std::string add_candidate(const Claim& claim, const Candidate& candidate,
                          CaseList& cases) {
  const Result<Candidate::Made> made = candidate.make(nullptr);
  if (!made.ok()) return "";  // no such op on any device
  const Result<Answer> answer =
      claim.judge(made->setup, candidate.phase, candidate.M);
  if (!answer.ok()) return "";
  const bool inside = answer->inside;
  Case one;
  one.id = fmt::format(
      "L1/{}/{}", inside ? answer->row : "refuse",
      inside ? candidate.what : candidate.op + "/" + candidate.what);
  const bool known = std::any_of(cases.begin(), cases.end(),
                                 [&](const Case& c) { return c.id == one.id; });
  if (known) return answer->row;
  const auto make = candidate.make;
  if (!inside) {
    one.run = [make, why = answer->message](CaseContext& context) -> Status {
      TSR_ASSIGN_OR_RETURN(const Candidate::Made again, make(nullptr));
      return expect_refusal(context, again.setup, why);
    };
    cases.push_back(std::move(one));
    return "";
  }
  const tsr_kernel_desc* row = find_row_named(claim, answer->row);
  one.kind = candidate.op;
  one.trial = [make, row] { return make(row); };
  one.trial_kind = trial_kind(made->setup);
  one.run = [make, row](CaseContext& context) -> Status {
    TSR_ASSIGN_OR_RETURN(const Candidate::Made again, make(row));
    TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                         context.device());
    TSR_RETURN_IF_ERROR(
        run_and_check(device, again, row->determinism != TSR_DETERMINISM_NONE));
    return context.allocator().check();
  };
  cases.push_back(std::move(one));
  return answer->row;
}

void add_coverage_cases(const Claim& claim, CaseList& cases) {
  std::set<std::string> exercised;
  for (const Case& one : cases) {
    if (one.id.rfind("L1/", 0) != 0) continue;
    exercised.insert(one.id.substr(3, one.id.find('/', 3) - 3));
  }
  std::set<uint32_t> claimed;
  for (const tsr_kernel_desc& row : claim.rows()) {
    claimed.insert(row.op);
    if (exercised.count(row.name) != 0) continue;
    Case one;
    one.id = fmt::format("L1/coverage/{}", row.name);
    if (row.op == TSR_OP_EXTENSION) {
      one.run = [](CaseContext&) {
        return Status(TSR_UNAVAILABLE, "the kit knows no vendor's ops");
      };
    } else {
      one.run = [](CaseContext&) {
        return Status(TSR_INTERNAL,
                      "claimed, but no case can reach it: another row shadows "
                      "it, or its masks and ranges admit nothing");
      };
    }
    cases.push_back(std::move(one));
  }
  for (uint32_t op = TSR_OP_LINEAR; op <= TSR_OP_GATHER_ROWS; ++op) {
    if (claimed.count(op) != 0) continue;
    Case one;
    one.id = "L1/coverage/" + sdk::names::op(op);
    one.run = [](CaseContext&) {
      return Status(TSR_UNAVAILABLE, "no kernel claims this op");
    };
    cases.push_back(std::move(one));
  }
}

}  // namespace tessera::conformance
