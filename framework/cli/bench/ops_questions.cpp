// SPDX-License-Identifier: Apache-2.0
//
// From options to questions: presets and sweeps taken apart.

#include <fmt/format.h>

#include "framework/bench/model_shapes.hpp"
#include "framework/cli/bench/ops_options.hpp"
#include "framework/format/scheme.hpp"

namespace tessera::cli {
namespace {

using bench::is_linear;
using bench::OpQuestion;

// Rows of activations up to which weights are read from memory unless the user
// says otherwise, as in decoding.
constexpr int64_t kColdRows = 32;

std::vector<std::string> expand_ops(const std::vector<std::string>& ops) {
  std::vector<std::string> all;
  const auto add = [&all](const std::vector<std::string>& more) {
    all.insert(all.end(), more.begin(), more.end());
  };
  for (const std::string& op : ops) {
    const bool every = op == "all";
    if (every) add({"linear", "attention"});
    if (every || op == "small") add(small_ops());
    if (every || op == "transfers") add(transfers());
    if (!every && op != "small" && op != "transfers") add({op});
  }
  return all;
}

const char* wanted_shape(const std::string& op) {
  if (op == "linear") return "MxNxK";
  return op == "grouped_linear" ? "NxK" : "ROWSxCOLUMNS";
}

// Cold, hot, or both, as the user says; else as the op is met in a model.
std::vector<bool> temperatures(const OpsOptions& options,
                               const OpQuestion& question) {
  if (!is_linear(question.op) && question.op != "attention") return {false};
  if (options.cold && options.hot) return {false, true};
  if (options.cold || options.hot) return {options.cold};
  if (question.op == "attention") return {question.q_len == 1};
  return {question.op == "linear" && question.shape.front() <= kColdRows};
}

Result<std::vector<std::vector<int64_t>>> preset_shapes(
    const OpsOptions& options, const std::string& op) {
  std::vector<std::vector<int64_t>> shapes;
  const std::vector<int64_t> rows =
      options.m.empty() ? std::vector<int64_t>{1, 128} : options.m;
  for (const std::string& name : options.presets) {
    TSR_ASSIGN_OR_RETURN(const bench::ModelShape model,
                         bench::find_model_shape(name).annotate("--preset"));
    for (const int64_t M : rows) {
      if (op == "linear") {
        for (const bench::LinearShape& shape : bench::linear_shapes(model)) {
          shapes.push_back({M, shape.N, shape.K});
        }
      } else if (op == "silu_mul" || op == "gelu") {
        shapes.push_back({M, model.intermediate_size});
      } else {
        shapes.push_back({M, model.hidden_size});
      }
    }
  }
  return shapes;
}

std::vector<std::vector<int64_t>> swept_shapes(const OpsOptions& options) {
  std::vector<std::vector<int64_t>> shapes;
  for (const int64_t M : options.m) {
    for (const int64_t N : options.n) {
      for (const int64_t K : options.k) shapes.push_back({M, N, K});
    }
  }
  return shapes;
}

Result<std::vector<std::vector<int64_t>>> shapes_of(const OpsOptions& options,
                                                    const std::string& op) {
  if (!options.presets.empty() && op != "grouped_linear") {
    return preset_shapes(options, op);
  }
  if (op == "linear" && options.shapes.empty()) {
    const auto shapes = swept_shapes(options);
    if (!shapes.empty()) return shapes;
  }
  if (options.shapes.empty()) {
    return Status(
        TSR_INVALID_ARGUMENT,
        fmt::format("{} needs --shape {}{}", op, wanted_shape(op),
                    op == "linear" ? ", --preset, or --m, --n, --k" : ""));
  }
  std::vector<std::vector<int64_t>> shapes;
  for (const std::string& text : options.shapes) {
    TSR_ASSIGN_OR_RETURN(
        std::vector<int64_t> shape,
        bench::parse_sizes(text, op == "linear" ? 3 : 2).annotate("--shape"));
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

void add_with_temperatures(const OpsOptions& options, OpQuestion question,
                           std::vector<OpQuestion>& questions) {
  for (const bool cold : temperatures(options, question)) {
    question.cold = cold;
    questions.push_back(question);
  }
}

// Heads of the presets, or those that the options name.
Result<std::vector<OpQuestion>> with_heads(const OpsOptions& options,
                                           const OpQuestion& question) {
  std::vector<OpQuestion> questions;
  for (const std::string& name : options.presets) {
    TSR_ASSIGN_OR_RETURN(const bench::ModelShape model,
                         bench::find_model_shape(name).annotate("--preset"));
    OpQuestion with = question;
    with.heads = model.num_q_heads;
    with.kv_heads = model.num_kv_heads;
    with.head_dim = model.head_dim;
    questions.push_back(with);
  }
  if (questions.empty()) questions.push_back(question);
  if (questions.front().heads == 0 ||
      (options.kv_lens.empty() && options.presets.empty())) {
    return Status(TSR_INVALID_ARGUMENT,
                  "attention needs --heads and --kv-len, or --preset");
  }
  return questions;
}

Status add_attention(const OpsOptions& options, const OpQuestion& question,
                     std::vector<OpQuestion>& questions) {
  TSR_ASSIGN_OR_RETURN(const std::vector<OpQuestion> models,
                       with_heads(options, question));
  const std::vector<int64_t> kv_lens =
      options.kv_lens.empty() ? std::vector<int64_t>{4096} : options.kv_lens;
  const std::vector<std::string> kv =
      options.kv.empty() ? std::vector<std::string>{""} : options.kv;
  for (OpQuestion with : models) {
    for (const int64_t q_len : options.q_lens) {
      for (const int64_t kv_len : kv_lens) {
        for (const std::string& format : kv) {
          with.q_len = q_len;
          with.kv_len = kv_len;
          with.kv = format;
          add_with_temperatures(options, with, questions);
        }
      }
    }
  }
  return {};
}

Status add_shaped(const OpsOptions& options, OpQuestion question,
                  std::vector<OpQuestion>& questions) {
  TSR_ASSIGN_OR_RETURN(const auto shapes, shapes_of(options, question.op));
  if (question.op == "grouped_linear" && question.rows.empty()) {
    return {TSR_INVALID_ARGUMENT, "grouped_linear needs --rows M,M,..."};
  }
  if (!options.tile.empty()) {
    TSR_ASSIGN_OR_RETURN(
        question.tile,
        bench::parse_sizes(options.tile, is_linear(question.op) ? 3 : 2)
            .annotate("--tile"));
  }
  std::vector<std::string> schemes =
      is_linear(question.op) ? options.schemes : std::vector<std::string>{""};
  if (schemes.size() == 1 && schemes.front() == "all") schemes = scheme_names();
  for (const std::vector<int64_t>& shape : shapes) {
    question.shape = shape;
    for (const std::string& scheme : schemes) {
      question.scheme = scheme;
      add_with_temperatures(options, question, questions);
    }
  }
  return {};
}

}  // namespace

Result<std::vector<OpQuestion>> make_questions(const OpsOptions& options) {
  std::vector<OpQuestion> questions;
  for (const std::string& op : expand_ops(options.ops)) {
    OpQuestion question = options.question;
    question.op = op;
    if (!options.tile.empty() && !is_linear(op) && op != "copy") {
      return Status(TSR_INVALID_ARGUMENT,
                    "--tile: " + op + " has none; copy and products have");
    }
    TSR_RETURN_IF_ERROR(op == "attention"
                            ? add_attention(options, question, questions)
                            : add_shaped(options, question, questions));
  }
  if (questions.size() > 1 && !options.files.empty()) {
    return Status(TSR_INVALID_ARGUMENT,
                  "--trace, --csv, --svg and --listing describe one op: give "
                  "one shape and one scheme");
  }
  return questions;
}

}  // namespace tessera::cli
