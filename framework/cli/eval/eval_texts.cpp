// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/eval/eval_texts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "framework/cli/progress.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/eval/documents.hpp"
#include "framework/host/services/thread_pool.hpp"
#include "framework/model/build_graph.hpp"
#include "framework/planner/plan.hpp"
#include "framework/runtime/sampler.hpp"

namespace tessera::cli {
namespace {

constexpr uint32_t kMaxStepTokens = 512;
constexpr uint32_t kDecodeWidth = 8;
constexpr uint32_t kLlamaWindow = 512;  // llama.cpp's own default
constexpr uint64_t kMaxLogitsBytes = UINT64_C(128) << 20;  // of one step
constexpr uint64_t kMaxReferenceBytes = UINT64_C(2) << 30;

uint64_t logits_bytes(uint64_t rows, uint32_t vocab_size) {
  return rows * vocab_size * sizeof(float);
}

Result<std::string> choose_text(const Model& model, const std::string& text) {
  if (!text.empty()) return text;
  const std::string beside = model.folder + "/text/report.txt";
  std::error_code code;
  if (std::filesystem::is_regular_file(beside, code)) return beside;
  return Status(TSR_NOT_FOUND, "--text FILE is needed: there is no " + beside);
}

Result<double> oracle_accuracy(ReferenceLogits& logits,
                               const std::vector<Document>& documents,
                               uint32_t first_scored) {
  uint64_t right = 0;
  uint64_t count = 0;
  for (size_t d = 0; d < documents.size(); ++d) {
    TSR_ASSIGN_OR_RETURN(const std::span<const float> rows, logits.get(d));
    const size_t vocab_size = rows.size() / documents[d].size();
    for (size_t i = first_scored; i + 1 < documents[d].size(); ++i) {
      const auto row = rows.subspan(i * vocab_size, vocab_size);
      right += argmax(row) == documents[d][i + 1] ? 1 : 0;
      ++count;
    }
  }
  return static_cast<double>(right) /
         static_cast<double>(std::max<uint64_t>(count, 1));
}

}  // namespace

void add_text_options(CLI::App& app, EvalTextOptions& options) {
  app.add_option("--text", options.text,
                 "Documents to measure on, separated by lines of "
                 "<|endoftext|>; left out: text/report.txt of the model")
      ->type_name("FILE");
  app.add_option("--context", options.context,
                 "Tokens of a document, at most; left out: what the model has")
      ->check(count_validator(2))
      ->type_name("N");
  app.add_option("--limit", options.limit, "Tokens to score, at most")
      ->check(count_validator(1))
      ->type_name("TOKENS");
}

void EvalTexts::keep_scored(std::vector<DocumentScores>& scores) const {
  for (DocumentScores& document : scores) {
    document.erase(document.begin(), document.begin() + first_scored);
  }
}

void limit_positions(std::vector<Document>& documents, uint64_t limit,
                     uint32_t first_scored) {
  size_t kept = 0;
  while (kept < documents.size() && limit > 0) {
    Document& document = documents[kept++];
    const uint64_t positions =
        std::min<uint64_t>(document.size() - 1 - first_scored, limit);
    document.resize(first_scored + positions + 1);
    limit -= positions;
  }
  documents.resize(kept);
}

Result<EvalTexts> read_texts(const Model& model,
                             const EvalTextOptions& options) {
  const uint32_t max_positions = model.config.max_positions;
  if (options.context > max_positions) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("--context {}: the model goes up to {}",
                              options.context, max_positions));
  }
  EvalTexts texts;
  TSR_ASSIGN_OR_RETURN(texts.path, choose_text(model, options.text));
  if (options.llama_windows) {
    const uint32_t window = options.context == 0
                                ? std::min(kLlamaWindow, max_positions)
                                : options.context;
    TSR_ASSIGN_OR_RETURN(
        texts.documents,
        read_windows(model.tokenizer, texts.path, window, model.config.bos_id));
    texts.first_scored = window / 2;
  } else {
    TSR_ASSIGN_OR_RETURN(
        texts.documents,
        read_documents(model.tokenizer, texts.path,
                       options.context == 0 ? max_positions : options.context));
  }
  if (options.limit > 0) {
    limit_positions(texts.documents, options.limit, texts.first_scored);
  }
  for (const Document& document : texts.documents) {
    texts.num_positions += document.size() - 1 - texts.first_scored;
    texts.longest =
        std::max(texts.longest, static_cast<uint32_t>(document.size()));
  }
  return texts;
}

SessionOptions eval_session_options(const EvalTexts& texts, uint32_t phase,
                                    uint32_t vocab_size) {
  SessionOptions options;
  options.max_context = texts.longest;
  if (phase == TSR_DECODE) {
    // Documents that advance together ask for reference logits in turns, which
    // is slow where those are not kept.
    const bool kept = logits_bytes(texts.num_positions + texts.documents.size(),
                                   vocab_size) < kMaxReferenceBytes;
    options.max_seqs = kept ? kDecodeWidth : 1;
    options.max_tokens = options.max_outputs = options.max_seqs;
    return options;
  }
  const uint64_t affordable = kMaxLogitsBytes / logits_bytes(1, vocab_size);
  options.max_tokens = options.max_outputs = static_cast<uint32_t>(
      std::clamp<uint64_t>(affordable, 16, kMaxStepTokens));
  return options;
}

Result<Oracle> make_oracle(const LoadedModel& model, const Scheme& scheme,
                           const OracleNumerics& numerics,
                           uint32_t max_context) {
  TSR_ASSIGN_OR_RETURN(Graph graph,
                       build_graph(model.model->config, max_context));
  mark_stored(model.source, graph);
  return Oracle::create(graph, uniform_plan(graph, "oracle", scheme),
                        model.source, numerics);
}

Result<F32Reference> make_f32_reference(const LoadedModel& model,
                                        const EvalTexts& texts,
                                        uint32_t num_threads) {
  TSR_ASSIGN_OR_RETURN(const Scheme scheme, find_scheme("f32"));
  TSR_ASSIGN_OR_RETURN(Oracle oracle,
                       make_oracle(model, scheme, {}, texts.longest));
  F32Reference made;
  made.oracle = std::make_unique<const Oracle>(std::move(oracle));
  made.logits = std::make_unique<ReferenceLogits>(
      *made.oracle, texts.documents, TSR_PREFILL, kMaxReferenceBytes);
  Progress progress("oracle");
  TSR_RETURN_IF_ERROR(made.logits->prepare(
      num_threads == 0 ? available_cores() : num_threads,
      [&progress](double share) { progress.update(share); }));
  TSR_ASSIGN_OR_RETURN(
      made.accuracy,
      oracle_accuracy(*made.logits, texts.documents, texts.first_scored));
  return made;
}

}  // namespace tessera::cli
