// SPDX-License-Identifier: Apache-2.0
//
// Measures a loaded model on documents, teacher-forced, against the oracle.

#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/eval/agreement.hpp"
#include "framework/eval/metrics.hpp"
#include "framework/eval/oracle.hpp"
#include "framework/runtime/sampler.hpp"
#include "framework/runtime/session.hpp"

namespace tessera {

using Document = std::vector<int32_t>;  // token ids, at least two

// Calls visit(document, position, logits) for every position of every document
// but the last, in order within a document.  TSR_PREFILL feeds a document in
// steps of the session's max_tokens; TSR_DECODE feeds one token a step, several
// documents at once.
//
// Requires  in prefill, options().max_outputs == options().max_tokens; every
//           document fits the context
using PositionVisitor = std::function<void(size_t document, size_t position,
                                           std::span<const float> logits)>;
Status visit_logits(Session& session, const std::vector<Document>& documents,
                    uint32_t phase, const PositionVisitor& visit);

// The oracle's logits of each document, made when first asked for and kept
// while they fit a budget.
class ReferenceLogits {
 public:
  // `oracle` outlives this.
  ReferenceLogits(const Oracle& oracle, const std::vector<Document>& documents,
                  uint32_t phase, uint64_t max_bytes = UINT64_C(2) << 30);

  // Computes all documents on `num_threads` threads if they fit the budget.
  // on_progress(share from 0 to 1) comes from any of them.
  Status prepare(uint32_t num_threads,
                 const std::function<void(double)>& on_progress);

  // [document's tokens, vocab_size].
  Result<std::span<const float>> get(size_t document);

 private:
  const Oracle& oracle_;
  const std::vector<Document>& documents_;
  uint32_t phase_;
  uint64_t max_bytes_;
  std::vector<std::vector<float>> kept_;
  size_t current_ = SIZE_MAX;  // the one in `scratch_`
  std::vector<float> scratch_;
};

// Scores every position of `documents` in one phase.
Result<std::vector<DocumentScores>> score_documents(
    Session& session, const std::vector<Document>& documents, uint32_t phase,
    ReferenceLogits& reference, const std::function<void(double)>& on_progress);

// Holds `session` against the oracle of the same scheme, summed in two orders.
Result<Agreement> measure_agreement(Session& session,
                                    const std::vector<Document>& documents,
                                    uint32_t phase, const Oracle& ascending,
                                    const Oracle& descending);

}  // namespace tessera
