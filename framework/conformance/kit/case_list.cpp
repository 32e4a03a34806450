// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/cases.hpp"

namespace tessera::conformance {

CaseList generate_cases(const Claim& claim, uint32_t max_level,
                        const CaseOptions& options) {
  CaseList cases;
  add_contract_cases(claim, options, cases);
  if (max_level < 1) return cases;
  add_row_op_cases(claim, options, cases);
  add_linear_cases(claim, options, cases);
  add_attention_cases(claim, options, cases);
  add_kv_append_cases(claim, options, cases);
  add_coverage_cases(claim, cases);
  add_transfer_cases(claim, options, cases);
  if (max_level < 2) return cases;
  add_queue_cases(claim, options, cases);
  add_robustness_cases(claim, options, cases);
  return cases;
}

}  // namespace tessera::conformance
