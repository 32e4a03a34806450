// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/bench/ops_options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "framework/bench/model_shapes.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/format/scheme.hpp"

namespace tessera::cli {
namespace {

using bench::OpQuestion;

const std::vector<std::string>& small_ops() {
  static const std::vector<std::string> ops = {"rms_norm", "layer_norm", "add",
                                               "silu_mul", "gelu",       "rope",
                                               "softmax",  "embedding"};
  return ops;
}

const std::vector<std::string>& transfers() {
  static const std::vector<std::string> ops = {"copy", "upload", "download"};
  return ops;
}

bool is_linear(const std::string& op) {
  return op == "linear" || op == "grouped_linear";
}

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

void add_shape_options(CLI::App& app, OpsOptions& options) {
  app.add_option("--preset", options.presets,
                 "Shapes of a model: qwen3-0.6b, qwen3-1.7b, qwen3-4b, "
                 "qwen3-8b, qwen3-14b, qwen3-32b, llama3.1-8b, llama3.1-70b; "
                 "several with commas")
      ->delimiter(',')
      ->type_name("MODEL");
  app.add_option("--shape", options.shapes,
                 "MxNxK of linear, NxK of grouped_linear, ROWSxCOLUMNS of the "
                 "others; several with commas")
      ->delimiter(',')
      ->type_name("SHAPE");
  const auto add_sweep = [&app](const char* name, std::vector<int64_t>& sizes,
                                const char* help) {
    app.add_option(name, sizes, help)
        ->delimiter(',')
        ->check(count_validator(1))
        ->type_name("SIZE");
  };
  add_sweep("--m", options.m, "Rows of activations: of a sweep, or a preset");
  add_sweep("--n", options.n, "Output features of a sweep");
  add_sweep("--k", options.k, "Input features of a sweep");
  app.add_option("--scheme", options.schemes,
                 "Precision of a product: f32, bf16, w16a16, w8a8, "
                 "w8a8_dynamic, w8a8sc, w8a16, w4a16, w4a8, q4_0, q8_0, ..., "
                 "or all; on simulated devices also int8 (codes given); "
                 "several with commas")
      ->delimiter(',')
      ->type_name("SCHEME")
      ->capture_default_str();
  app.add_option("--type", options.question.type,
                 "Type of small ops and transfers, and on simulated devices of "
                 "a product's result: f16, bf16, f32, s8, s32")
      ->type_name("TYPE");
}

void add_simulated_options(CLI::App& app, OpsOptions& options) {
  const char* const group = "Simulated devices";
  OpQuestion& q = options.question;
  app.add_option("--rows", q.rows, "Rows of each group of grouped_linear")
      ->delimiter(',')
      ->type_name("M")
      ->group(group);
  app.add_option("--tile", options.tile,
                 "Tile of a copy, ROWSxCOLUMNS, or of a product, MxNxK")
      ->type_name("TILE")
      ->group(group);
  app.add_option("--weights", q.weights, "Layout of weights: nd or nz")
      ->check(CLI::IsMember({"nd", "nz"}))
      ->type_name("LAYOUT")
      ->group(group);
  app.add_flag("--transpose-a", q.transpose_a, "The input lies as [K, M]")
      ->group(group);
  app.add_flag("--weight-kn", q.weight_is_kn, "The weight lies as [K, N]")
      ->group(group);
  app.add_option("--compression", q.compression,
                 "w8a8sc: stored bytes over those of int8")
      ->check(share_validator())
      ->type_name("X")
      ->group(group);
  app.add_flag("--bank-conflicts", q.bank_conflicts,
               "The operands of add lie in one bank group")
      ->group(group);
  app.add_option("--target", q.target, "Where a copy goes: ub or l1")
      ->check(CLI::IsMember({"ub", "l1"}))
      ->type_name("MEMORY")
      ->group(group);
  app.add_flag("--nd-to-nz", q.nd_to_nz, "A copy to l1 makes fractals")
      ->group(group);
  app.add_option("--repeats", q.repeats, "Passes of a copy over its data")
      ->check(count_validator(1))
      ->type_name("N")
      ->group(group);
  app.add_option("--cores", q.cores, "Cores to use; left out: all")
      ->check(count_validator(1))
      ->type_name("N")
      ->group(group);
  const auto add_file = [&](const char* name, const char* kind,
                            const char* help, const char* type) {
    app.add_option(name, options.files[kind], help)
        ->type_name(type)
        ->group(group);
  };
  add_file("--trace", "trace",
           "Write a Chrome trace: a process for each core, a thread for each "
           "pipe",
           "FILE");
  add_file("--csv", "csv",
           "Write tables with the columns of the vendor's profiler", "FOLDER");
  add_file("--svg", "svg", "Write a picture: roofline and pipes", "FILE");
  add_file("--listing", "listing", "Write the instructions", "FILE");
}

void add_attention_options(CLI::App& app, OpsOptions& options) {
  OpQuestion& q = options.question;
  const auto add_count = [&app](const char* name, int64_t& value,
                                const char* help) {
    app.add_option(name, value, help)
        ->check(count_validator(1))
        ->type_name("N");
  };
  const auto add_list = [&app](const char* name, std::vector<int64_t>& values,
                               const char* help) {
    app.add_option(name, values, help)
        ->delimiter(',')
        ->check(count_validator(1))
        ->type_name("N");
  };
  add_count("--batch", q.batch, "Sequences of attention");
  add_list("--q-len", options.q_lens,
           "Query tokens of each sequence; 1: decode");
  add_list("--kv-len", options.kv_lens,
           "Cached tokens of each sequence, the query's included");
  add_count("--heads", q.heads, "Query heads");
  add_count("--kv-heads", q.kv_heads, "KV heads; left out: as many");
  add_count("--head-dim", q.head_dim, "Size of a head of Q and K");
  add_count("--v-dim", q.v_dim,
            "Size of a head of V, on simulated devices; left out: the same");
  app.add_flag("--v-in-k", q.v_in_k,
               "V is the first part of K, as in MLA, on simulated devices");
  app.add_option("--kv", options.kv,
                 "KV cache: f32, f16, bf16, int8 or fa3; several with commas")
      ->delimiter(',')
      ->check(CLI::IsMember({"f32", "f16", "bf16", "int8", "fa3"}))
      ->type_name("FORMAT");
}

void add_measure_options(CLI::App& app, OpsOptions& options) {
  app.add_flag("--cold", options.cold,
               "Weights and caches come from memory: as many as fit into no "
               "cache are taken in turn.  The default of up to 32 rows, and of "
               "decoding");
  app.add_flag("--hot", options.hot,
               "The same weight again and again; with --cold both");
  app.add_option("--cold-mib", options.cold_mib,
                 "MiB of weights, or caches, that --cold takes in turn")
      ->check(count_validator(1, 1U << 20))
      ->type_name("MIB")
      ->capture_default_str();
  app.add_option("--repetitions", options.measure.repetitions,
                 "Samples of each op, devices taken in turn")
      ->check(count_validator(1, 1U << 20))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--batch-ms", options.batch_ms, "Length of a sample, at least")
      ->check(positive_validator())
      ->type_name("MS")
      ->capture_default_str();
}

}  // namespace

void add_ops_options(CLI::App& app, OpsOptions& options) {
  app.add_option("--device", options.devices,
                 "Devices, as `tessera devices` names them; a simulated one "
                 "may be a profile's path: npu_sim:my.yaml; left out: all that "
                 "are not simulated")
      ->delimiter(',')
      ->type_name("DEVICE");
  std::vector<std::string> ops = {"linear", "grouped_linear", "attention",
                                  "small",  "transfers",      "all"};
  ops.insert(ops.end(), small_ops().begin(), small_ops().end());
  ops.insert(ops.end(), transfers().begin(), transfers().end());
  app.add_option("--op", options.ops,
                 "linear, attention, rms_norm, layer_norm, add, silu_mul, "
                 "gelu, rope, softmax, embedding, copy, upload, download; "
                 "groups of them: small, transfers, all; on simulated devices "
                 "linear, grouped_linear, attention, add and copy; several "
                 "with commas")
      ->delimiter(',')
      ->check(CLI::IsMember(ops))
      ->type_name("OP")
      ->capture_default_str();
  add_shape_options(app, options);
  app.add_option("--group-size", options.question.group_size,
                 "Weights that share a scale")
      ->check(count_validator(1))
      ->type_name("N");
  add_attention_options(app, options);
  add_measure_options(app, options);
  add_simulated_options(app, options);
  add_threads_option(app, options.threads);
  app.add_flag("--isolate", options.isolate, "Run plugins in a child process");
  add_json_option(app, options.json);
}

Result<std::vector<OpQuestion>> make_questions(const OpsOptions& options) {
  std::vector<OpQuestion> questions;
  for (const std::string& op : expand_ops(options.ops)) {
    OpQuestion question = options.question;
    question.op = op;
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

namespace {

// " --option value" for what differs from the default.
class CommandText {
 public:
  explicit CommandText(std::string text) : text_(std::move(text)) {}

  template <typename Value>
  void add(const char* option, const Value& value) {
    text_ += fmt::format(" {} {}", option, value);
  }
  void add_flag(const char* option, bool is_set) {
    if (is_set) text_ += std::string(" ") + option;
  }
  void add_count(const char* option, int64_t value, int64_t usual = 0) {
    if (value != usual) add(option, value);
  }
  void add_text(const char* option, const std::string& value) {
    if (!value.empty()) add(option, value);
  }
  void add_sizes(const char* option, const std::vector<int64_t>& sizes,
                 const char* separator) {
    add_text(option, fmt::format("{}", fmt::join(sizes, separator)));
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void add_attention_words(const OpQuestion& question, CommandText& command) {
  const OpQuestion defaults;
  command.add_count("--batch", question.batch, defaults.batch);
  command.add("--q-len", question.q_len);
  command.add("--kv-len", question.kv_len);
  command.add("--heads", question.heads);
  command.add_count("--kv-heads", question.kv_heads);
  command.add_count("--head-dim", question.head_dim, defaults.head_dim);
  command.add_count("--v-dim", question.v_dim);
  command.add_flag("--v-in-k", question.v_in_k);
  command.add_text("--kv", question.kv);
}

void add_simulated_words(const OpQuestion& question, CommandText& command) {
  command.add_sizes("--rows", question.rows, ",");
  command.add_sizes("--tile", question.tile, "x");
  command.add_text("--weights", question.weights);
  command.add_flag("--transpose-a", question.transpose_a);
  command.add_flag("--weight-kn", question.weight_is_kn);
  if (question.compression > 0) {
    command.add("--compression", question.compression);
  }
  command.add_flag("--bank-conflicts", question.bank_conflicts);
  command.add_text("--target", question.target);
  command.add_flag("--nd-to-nz", question.nd_to_nz);
  command.add_count("--repeats", question.repeats, 1);
  command.add_count("--cores", question.cores);
}

}  // namespace

std::string command_of(const OpsOptions& options, const OpQuestion& question,
                       const std::string& devices) {
  const OpsOptions defaults;
  CommandText command("tessera bench ops");
  command.add("--device", devices);
  command.add("--op", question.op);
  if (question.op == "attention") {
    add_attention_words(question, command);
  } else {
    if (is_linear(question.op)) command.add("--scheme", question.scheme);
    command.add_sizes("--shape", question.shape, "x");
  }
  command.add_text("--type", question.type);
  command.add_count("--group-size", question.group_size);
  add_simulated_words(question, command);
  if (is_linear(question.op) || question.op == "attention") {
    command.add_flag(question.cold ? "--cold" : "--hot", true);
  }
  if (question.cold && options.cold_mib != defaults.cold_mib) {
    command.add("--cold-mib", options.cold_mib);
  }
  if (options.measure.repetitions != defaults.measure.repetitions) {
    command.add("--repetitions", options.measure.repetitions);
  }
  if (options.batch_ms != defaults.batch_ms) {
    command.add("--batch-ms", options.batch_ms);
  }
  if (options.threads > 0) command.add("--threads", options.threads);
  command.add_flag("--isolate", options.isolate);
  return command.text();
}

}  // namespace tessera::cli
