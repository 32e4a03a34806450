// SPDX-License-Identifier: Apache-2.0
//
// What is measured, and against what: the part that eval and compare share.

#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/cli/loaded_model.hpp"
#include "framework/conformance/reference/linear/linear.hpp"
#include "framework/eval/evaluate.hpp"

namespace tessera::cli {

struct EvalTexts {
  std::string path;
  std::vector<Document> documents;
  uint64_t num_positions = 0;  // that are scored
  uint32_t longest = 0;        // tokens of the longest document
  uint32_t first_scored = 0;   // position in each document

  // Leaves out what stands before first_scored.
  void keep_scored(std::vector<DocumentScores>& scores) const;
};

struct EvalTextOptions {
  std::string text;      // a file; empty: text/report.txt beside the model
  uint32_t context = 0;  // documents are cut to it; 0: what the model has
  uint64_t limit = 0;    // positions to score, at most; 0: all
  // llama.cpp's windows of `context` tokens (0: 512), half of each scored.
  bool llama_windows = false;
};

// Adds --text, --context and --limit.
void add_text_options(CLI::App& app, EvalTextOptions& options);

// Errors  NOT_FOUND if there is no such text, saying that --text is needed;
//         INVALID_ARGUMENT if the context is beyond the model's or nothing is
//         left to score
Result<EvalTexts> read_texts(const Model& model,
                             const EvalTextOptions& options);

// Cuts `documents` from the end until at most `limit` positions are left, of
// those from `first_scored` of each document.
void limit_positions(std::vector<Document>& documents, uint64_t limit,
                     uint32_t first_scored = 0);

// The options of a session that visit_logits() can run in `phase`.
SessionOptions eval_session_options(const EvalTexts& texts, uint32_t phase,
                                    uint32_t vocab_size);

// The oracle of `scheme` for texts of up to `max_context` tokens.
Result<Oracle> make_oracle(const LoadedModel& model, const Scheme& scheme,
                           const OracleNumerics& numerics,
                           uint32_t max_context);

// The oracle's f32, and its logits of `texts`; what everything is held
// against.  Both phases give the same logits in f32, so one set serves both.
struct F32Reference {
  std::unique_ptr<const Oracle> oracle;
  std::unique_ptr<ReferenceLogits> logits;
  double accuracy = 0.0;  // share of positions whose next token it predicts
};

// Shows progress.  Requires  `texts` outlives the result.
Result<F32Reference> make_f32_reference(const LoadedModel& model,
                                        const EvalTexts& texts,
                                        uint32_t num_threads);

}  // namespace tessera::cli
