// SPDX-License-Identifier: Apache-2.0
//
// From a question back to the command line that asks it.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "framework/cli/bench/ops_options.hpp"

namespace tessera::cli {
namespace {

using bench::is_linear;
using bench::OpQuestion;

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
  command.add_text("--peers", fmt::format("{}", fmt::join(options.peers, ",")));
  if (options.peer_python != defaults.peer_python) {
    command.add("--peer-python", options.peer_python);
  }
  if (options.threads > 0) command.add("--threads", options.threads);
  command.add_flag("--isolate", options.isolate);
  return command.text();
}

std::string case_of(const OpsOptions& options, const OpQuestion& question,
                    const std::string& devices) {
  OpsOptions usual;
  usual.threads = options.threads;
  usual.isolate = options.isolate;
  return command_of(usual, question, devices)
      .substr(std::string_view("tessera bench ops ").size());
}

Json settings_json(const OpsOptions& options) {
  return {{"repetitions", options.measure.repetitions},
          {"batch_ms", options.batch_ms},
          {"cold_mib", options.cold_mib},
          {"threads", options.threads},
          {"isolate", options.isolate}};
}

}  // namespace tessera::cli
