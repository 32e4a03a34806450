// SPDX-License-Identifier: Apache-2.0
//
// tessera bench ops: single ops on one device after another.

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "framework/bench/op_question.hpp"
#include "framework/bench/simulated_op.hpp"
#include "framework/cli/command.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/figures.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/table.hpp"
#include "framework/cli/target_options.hpp"

namespace tessera::cli {
namespace {

struct OpsOptions {
  std::vector<std::string> devices;
  std::vector<std::string> schemes = {"w16a16"};
  std::vector<std::string> shapes;
  std::string tile;
  bench::OpQuestion question;
  std::map<std::string, std::string> files;
  bool isolate = false;
  bool json = false;
};

bool has_scheme(const std::string& op) {
  return op == "linear" || op == "grouped_linear";
}

// Sizes in --shape.
size_t num_sizes(const std::string& op) {
  if (op == "linear") return 3;
  return op == "attention" ? 0 : 2;
}

Status read_shape(const std::string& text, bench::OpQuestion& question) {
  TSR_ASSIGN_OR_RETURN(
      question.shape,
      bench::parse_sizes(text, num_sizes(question.op)).annotate("--shape"));
  return {};
}

Status check_question(const OpsOptions& options) {
  const bench::OpQuestion& q = options.question;
  if (q.op == "attention") {
    if (q.heads > 0 && q.kv_len > 0) return {};
    return {TSR_INVALID_ARGUMENT, "attention needs --heads and --kv-len"};
  }
  if (options.shapes.empty()) {
    return {TSR_INVALID_ARGUMENT,
            fmt::format("{} needs --shape {}", q.op,
                        q.op == "linear"           ? "MxNxK"
                        : q.op == "grouped_linear" ? "NxK"
                                                   : "ROWSxCOLUMNS")};
  }
  if (q.op == "grouped_linear" && q.rows.empty()) {
    return {TSR_INVALID_ARGUMENT, "grouped_linear needs --rows M,M,..."};
  }
  return {};
}

// One question for each shape and scheme.
Result<std::vector<bench::OpQuestion>> make_questions(
    const OpsOptions& options) {
  TSR_RETURN_IF_ERROR(check_question(options));
  bench::OpQuestion question = options.question;
  if (!options.tile.empty()) {
    const size_t count = has_scheme(question.op) ? 3 : 2;
    TSR_ASSIGN_OR_RETURN(
        question.tile,
        bench::parse_sizes(options.tile, count).annotate("--tile"));
  }
  const std::vector<std::string> shapes = question.op == "attention"
                                              ? std::vector<std::string>{""}
                                              : options.shapes;
  const std::vector<std::string> schemes =
      has_scheme(question.op) ? options.schemes : std::vector<std::string>{""};
  std::vector<bench::OpQuestion> questions;
  for (const std::string& shape : shapes) {
    if (!shape.empty()) TSR_RETURN_IF_ERROR(read_shape(shape, question));
    for (const std::string& scheme : schemes) {
      question.scheme = scheme;
      questions.push_back(question);
    }
  }
  if (questions.size() > 1 && !options.files.empty()) {
    return Status(TSR_INVALID_ARGUMENT,
                  "--trace, --csv, --svg and --listing describe one op: give "
                  "one shape and one scheme");
  }
  return questions;
}

// The plugin may run in another folder.
std::map<std::string, std::string> absolute_paths(
    const std::map<std::string, std::string>& files) {
  std::map<std::string, std::string> absolute;
  for (const auto& [kind, path] : files) {
    std::error_code code;
    absolute[kind] = std::filesystem::absolute(path, code).string();
  }
  return absolute;
}

Result<Json> run_device(const OpsOptions& options, const Registry& registry,
                        const std::string& name,
                        const std::vector<bench::OpQuestion>& questions) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       registry.open(name).annotate("--device"));
  if (!bench::is_simulator(device->info())) {
    return Status(TSR_UNIMPLEMENTED,
                  fmt::format("--device {}: ops are timed on simulated "
                              "devices alone, such as npu_sim:910b",
                              name));
  }
  Json rows = Json::array();
  for (const bench::OpQuestion& question : questions) {
    const Json request =
        bench::simulator_request(question, absolute_paths(options.files));
    TSR_ASSIGN_OR_RETURN(const Json report,
                         bench::ask_simulator(*device, request).annotate(name));
    rows.push_back(bench::simulated_row(question, name, report));
  }
  return rows;
}

std::string shape_text(const Json& row) {
  if (row.at("op") == "attention") {
    return fmt::format(
        "{}x{} of {}, {}/{} heads of {}", row.at("batch").get<int64_t>(),
        row.at("q_len").get<int64_t>(), row.at("kv_len").get<int64_t>(),
        row.at("heads").get<int64_t>(), row.at("kv_heads").get<int64_t>(),
        row.at("head_dim").get<int64_t>());
  }
  std::string text = row.at("M").dump() + "x" + row.at("N").dump();
  if (!row.at("K").is_null()) text += "x" + row.at("K").dump();
  return text;
}

std::string percent_text(const Json& report, const char* key) {
  const double share = report.value(key, 0.0);
  return share == 0.0 ? "-" : fmt::format("{:.1f}", 100.0 * share);
}

std::string rows_text(const Json& rows) {
  Table table({{"device"},
               {"op"},
               {"scheme"},
               {"shape"},
               {"time (simulated)", Align::kRight},
               {"of limit %", Align::kRight},
               {"limit"},
               {"of cube peak %", Align::kRight},
               {"of vendor peak %", Align::kRight},
               {"DRAM", Align::kRight},
               {"energy (estimate)", Align::kRight}});
  for (const Json& row : rows) {
    const Json& report = row.at("simulation");
    const Json& bytes = report.at("bytes");
    const double dram =
        bytes.value("dram_read", 0.0) + bytes.value("dram_write", 0.0);
    const Json& energy = report.at("energy");
    table.add_row(
        {row.at("device").get<std::string>(), row.at("op").get<std::string>(),
         row.at("scheme").is_null() ? "-" : row.at("scheme").get<std::string>(),
         shape_text(row), duration_text(row.at("median_ns").get<double>()),
         percent_text(row, "achieved_over_limit"),
         row.at("limit_kind").get<std::string>(),
         percent_text(report, "cube_utilisation"),
         percent_text(report, "vendor_utilisation"),
         bytes_text(static_cast<uint64_t>(dram)),
         fmt::format(
             "{:.3g} mJ ({:.3g} to {:.3g})", 1e3 * energy.value("mid", 0.0),
             1e3 * energy.value("low", 0.0), 1e3 * energy.value("high", 0.0))});
  }
  return table.text();
}

Status run_ops(const OpsOptions& options) {
  TSR_ASSIGN_OR_RETURN(const std::vector<bench::OpQuestion> questions,
                       make_questions(options));
  const Registry registry =
      discover_plugins(0, options.isolate, options.devices);
  Json rows = Json::array();
  for (const std::string& name : options.devices) {
    TSR_ASSIGN_OR_RETURN(const Json more,
                         run_device(options, registry, name, questions));
    rows.insert(rows.end(), more.begin(), more.end());
  }
  if (options.json) {
    print_json(rows);
    return {};
  }
  write_out(rows_text(rows));
  for (const Json& row : rows) {
    for (const auto& file : row.at("simulation").at("files").items()) {
      write_out(
          fmt::format("{}: {}\n", file.key(), file.value().get<std::string>()));
    }
    if (row.at("simulation").value("trace_events_left_out", 0) > 0) {
      write_out("trace: events after the first million are left out\n");
    }
  }
  return {};
}

void add_shape_options(CLI::App& app, OpsOptions& options) {
  bench::OpQuestion& q = options.question;
  app.add_option("--shape", options.shapes,
                 "MxNxK of linear, NxK of grouped_linear, ROWSxCOLUMNS of add "
                 "and copy; several with commas")
      ->delimiter(',')
      ->type_name("SHAPE");
  app.add_option("--scheme", options.schemes,
                 "Precision of a product: w16a16, bf16, w8a8, w8a8_dynamic, "
                 "int8 (codes given), w8a8sc, w8a16, w4a16, w4a8, w4a4, fp8; "
                 "several with commas")
      ->delimiter(',')
      ->type_name("SCHEME")
      ->capture_default_str();
  app.add_option("--type", q.type,
                 "Type of add and copy, and of a product's result: f16, bf16, "
                 "f32, s8, s32")
      ->type_name("TYPE");
  app.add_option("--rows", q.rows, "Rows of each group of grouped_linear")
      ->delimiter(',')
      ->type_name("M");
  app.add_option("--tile", options.tile,
                 "Tile of a copy, ROWSxCOLUMNS, or of a product, MxNxK")
      ->type_name("TILE");
  app.add_option("--weights", q.weights, "Layout of weights: nd or nz")
      ->check(CLI::IsMember({"nd", "nz"}))
      ->type_name("LAYOUT");
  app.add_flag("--transpose-a", q.transpose_a, "The input lies as [K, M]");
  app.add_flag("--weight-kn", q.weight_is_kn, "The weight lies as [K, N]");
  app.add_option("--group-size", q.group_size, "Weights that share a scale")
      ->check(count_validator(1))
      ->type_name("N");
  app.add_option("--compression", q.compression,
                 "w8a8sc: stored bytes over those of int8")
      ->check(share_validator())
      ->type_name("X");
  app.add_flag("--bank-conflicts", q.bank_conflicts,
               "The operands of add lie in one bank group");
  app.add_option("--target", q.target, "Where a copy goes: ub or l1")
      ->check(CLI::IsMember({"ub", "l1"}))
      ->type_name("MEMORY");
  app.add_flag("--nd-to-nz", q.nd_to_nz, "A copy to l1 makes fractals");
  app.add_option("--repeats", q.repeats, "Passes of a copy over its data")
      ->check(count_validator(1))
      ->type_name("N");
}

void add_attention_options(CLI::App& app, bench::OpQuestion& q) {
  const auto add_count = [&app](const char* name, int64_t& value,
                                const char* help) {
    app.add_option(name, value, help)
        ->check(count_validator(1))
        ->type_name("N");
  };
  add_count("--batch", q.batch, "Sequences of attention");
  add_count("--q-len", q.q_len, "Query tokens of each sequence");
  add_count("--kv-len", q.kv_len, "Cached tokens of each sequence");
  add_count("--heads", q.heads, "Query heads");
  add_count("--kv-heads", q.kv_heads, "KV heads; left out: as many");
  add_count("--head-dim", q.head_dim, "Size of a head of Q and K");
  add_count("--v-dim", q.v_dim, "Size of a head of V; left out: the same");
  app.add_flag("--v-in-k", q.v_in_k, "V is the first part of K, as in MLA");
  app.add_option("--kv", q.kv, "KV cache: f16, bf16, int8 or fa3")
      ->check(CLI::IsMember({"f16", "bf16", "int8", "fa3"}))
      ->type_name("FORMAT");
}

void add_file_options(CLI::App& app, OpsOptions& options) {
  app.add_option("--trace", options.files["trace"],
                 "Write a Chrome trace: a process for each core, a thread for "
                 "each pipe")
      ->type_name("FILE");
  app.add_option("--csv", options.files["csv"],
                 "Write tables with the columns of the vendor's profiler")
      ->type_name("FOLDER");
  app.add_option("--svg", options.files["svg"],
                 "Write a picture: roofline and pipes")
      ->type_name("FILE");
  app.add_option("--listing", options.files["listing"],
                 "Write the instructions")
      ->type_name("FILE");
}

}  // namespace

Command add_bench_command(CLI::App& tessera) {
  CLI::App* bench =
      tessera.add_subcommand("bench", "Time single ops on any device");
  CLI::App* app = bench->add_subcommand("ops", "Time ops of any shape");
  bench->require_subcommand(1);
  auto options = std::make_shared<OpsOptions>();
  app->add_option("--device", options->devices,
                  "Devices, as `tessera devices` names them; a simulated one "
                  "may be a profile's path: npu_sim:my.yaml")
      ->delimiter(',')
      ->required()
      ->type_name("DEVICE");
  app->add_option("--op", options->question.op,
                  "linear, grouped_linear, add, copy or attention")
      ->check(CLI::IsMember(
          {"linear", "grouped_linear", "add", "copy", "attention"}))
      ->type_name("OP")
      ->capture_default_str();
  app->add_option("--cores", options->question.cores,
                  "Cores to use; left out: all")
      ->check(count_validator(1))
      ->type_name("N");
  add_shape_options(*app, *options);
  add_attention_options(*app, options->question);
  add_file_options(*app, *options);
  app->add_flag("--isolate", options->isolate,
                "Run plugins in a child process");
  add_json_option(*app, options->json);
  app->footer(
      "Examples:\n"
      "  tessera bench ops --device npu_sim:910b --shape 8192x8192x8192\n"
      "  tessera bench ops --device npu_sim:910b --op copy --shape 9216x16384 "
      "--tile 64x1024\n"
      "  tessera bench ops --device npu_sim:310p --op attention --q-len 1 "
      "--kv-len 4096 --heads 32 --kv-heads 8");
  return {bench, [options] {
            std::erase_if(options->files,
                          [](const auto& file) { return file.second.empty(); });
            return run_ops(*options);
          }};
}

}  // namespace tessera::cli
