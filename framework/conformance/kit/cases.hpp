// SPDX-License-Identifier: Apache-2.0
//
// The cases of levels 0 to 2, generated from what a plugin claims.

#pragma once

#include <string>
#include <vector>

#include "framework/conformance/kit/case.hpp"
#include "framework/conformance/kit/claim.hpp"
#include "framework/conformance/kit/trial/op_run.hpp"

namespace tessera::conformance {

using CaseList = std::vector<Case>;

// A trial of one kind of op, and its word in ids.
struct NamedTrial {
  const char* name;  // "row_op", "kv" or "weight"
  std::function<Result<OpTrial>()> make;
};
// Of what is in `cases`: kernels of a kind share what can break outside of
// numerics.
std::vector<NamedTrial> one_trial_of_each_kind(const CaseList& cases);

using TrialBody = std::function<Status(CaseContext&, const OpTrial&)>;
// One case for each trial: "ID/weight".
void add_trial_cases(const std::string& id, double limit_seconds,
                     const std::vector<NamedTrial>& trials,
                     const TrialBody& body, CaseList& cases);

// Level 0: structs, extensions, names, open and close.
void add_contract_cases(const Claim& claim, const CaseOptions& options,
                        CaseList& cases);
// Level 0 with the trials of the level 1 cases that are in `cases` already.
void add_struct_cases(const CaseOptions& options, CaseList& cases);
// Level 1: what the kernel table claims, and one step outside it.
void add_linear_cases(const Claim& claim, const CaseOptions& options,
                      CaseList& cases);
void add_row_op_cases(const Claim& claim, const CaseOptions& options,
                      CaseList& cases);
void add_attention_cases(const Claim& claim, const CaseOptions& options,
                         CaseList& cases);
void add_kv_append_cases(const Claim& claim, const CaseOptions& options,
                         CaseList& cases);
// Level 1: blocks of KV pools and buffers that are copied, and profiles.
void add_transfer_cases(const Claim& claim, const CaseOptions& options,
                        CaseList& cases);
// Level 1: handles that buffers are exported as, and imported from.
void add_handle_cases(CaseList& cases);
// Level 2: failing memory, wrong calls, floods, leaks; with the trials of the
// level 1 cases that are in `cases` already.
void add_robustness_cases(const Claim& claim, const CaseOptions& options,
                          CaseList& cases);
void add_queue_cases(const Claim& claim, const CaseOptions& options,
                     CaseList& cases);
void add_timeline_cases(CaseList& cases);
void add_argument_cases(const CaseOptions& options, CaseList& cases);
void add_fuzz_cases(const CaseOptions& options, CaseList& cases);
void add_large_cases(CaseList& cases);
void add_sequence_cases(const CaseOptions& options, CaseList& cases);

// Level 3: times, and whether estimates are honest.  Keeps `claim`.
void add_performance_cases(const Claim& claim, CaseList& cases);

// Adds the setup as a case: run and compared where the table claims it, else
// asked about, when it must be refused with a reason.  `what` is the id's last
// part.
struct Candidate {
  std::string what;
  std::string op;  // "linear"
  // Makes setup and expectation from the candidate's own seed.
  using Made = OpTrial;
  // `row` is the one that will run it; null: the expectation may be left out.
  std::function<Result<Made>(const tsr_kernel_desc* row)> make;
  uint32_t phase = TSR_PREFILL;
  uint32_t M = 1;
};
// Returns the row that runs it; empty if it is outside or no case was made.
std::string add_candidate(const Claim& claim, const Candidate& candidate,
                          CaseList& cases);

// Every kind of op that no row claims, and rows that no case exercises.
void add_coverage_cases(const Claim& claim, CaseList& cases);

// All of levels up to `level`, in order.
CaseList generate_cases(const Claim& claim, uint32_t max_level,
                        const CaseOptions& options);

}  // namespace tessera::conformance
