// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/questions/simulator.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "backends/npu_sim/questions/report.hpp"
#include "backends/npu_sim/questions/request.hpp"
#include "backends/npu_sim/trace/views.hpp"
#include "backends/npu_sim/validation/speed.hpp"
#include "backends/npu_sim/validation/validate.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

using Json = nlohmann::ordered_json;

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.flush();
  if (!file.good()) {
    throw sdk::Error(TSR_FAILED_PRECONDITION,
                     path + ": the file could not be written");
  }
}

void write_views(const Profile& profile, const Request& asked,
                 const Simulation& simulation) {
  const std::vector<Kernel> kernels = {
      {key_of(asked.problem), asked.problem, simulation}};
  for (const auto& [kind, path] : asked.files) {
    if (kind == "trace") write_file(path, chrome_trace(profile, kernels));
    if (kind == "svg") write_file(path, roofline_svg(profile, kernels));
    if (kind == "listing") {
      write_file(path,
                 compile(profile, asked.problem, asked.options).listing());
    }
    if (kind != "csv") continue;
    std::error_code code;
    std::filesystem::create_directories(path, code);
    for (const Table& table : profiler_tables(profile, kernels)) {
      write_file(path + "/" + table.file_name, table.text);
    }
  }
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file.good()) {
    throw sdk::Error(TSR_NOT_FOUND, path + ": the file cannot be read");
  }
  return text.str();
}

Json result_json(const ValidationResult& result) {
  const ValidationRow& row = result.row;
  return {{"id", row.id},
          {"kind", row.kind},
          {"what", row.what},
          {"profile", row.profile},
          {"metric", row.metric},
          {"source", row.source},
          {"value", result.value},
          {"target", {row.low, row.high}},
          {"tolerance", row.tolerance},
          {"error", result.error},
          {"left_out_error", result.left_out_error},
          {"within", result.within()}};
}

// The public rows, and those of a file besides.
std::string run_validation(const Json& request) {
  std::vector<ValidationRow> rows =
      parse_rows(builtin_rows_text(), "the shipped rows");
  for (const auto& item : request.items()) {
    if (item.key() == "op") continue;
    if (item.key() != "rows" || !item.value().is_string()) {
      throw sdk::Error(TSR_INVALID_ARGUMENT,
                       "simulator: validate takes rows, "
                       "a path, and not " +
                           item.key());
    }
    const std::string path = item.value().get<std::string>();
    const std::vector<ValidationRow> more = parse_rows(read_text(path), path);
    rows.insert(rows.end(), more.begin(), more.end());
  }
  const Validation validation = validate(rows);
  Json reply;
  bool passed = true;
  std::vector<std::string> kinds;
  Json results = Json::array();
  for (const ValidationResult& result : validation.results) {
    passed = passed && result.within();
    results.push_back(result_json(result));
    if (std::find(kinds.begin(), kinds.end(), result.row.kind) == kinds.end()) {
      kinds.push_back(result.row.kind);
    }
  }
  reply["passed"] = passed;
  reply["fitted_parameters"] = validation.fitted_parameters;
  reply["mape"] = Json::object();
  reply["count"] = Json::object();
  for (const std::string& kind : kinds) {
    reply["mape"][kind] = validation.mape(kind);
    reply["count"][kind] = validation.count(kind);
  }
  reply["rows"] = std::move(results);
  reply["markdown"] = validation_markdown(validation);
  return reply.dump();
}

// What the simulator itself takes, on all shipped profiles.
std::string run_speed() {
  Json rows = Json::array();
  for (const SpeedFigures& one : measure_speed(builtin_profiles())) {
    rows.push_back({{"profile", one.profile},
                    {"estimate_us", one.estimate_us},
                    {"estimate_median_us", one.estimate_median_us},
                    {"remembered_estimate_us", one.remembered_us},
                    {"qwen3_8b_decode_step_s", one.step_s},
                    {"qwen3_8b_decode_step_simulated_ms", one.step_ms},
                    {"gemm_8192_cubed_f16_s", one.gemm_s}});
  }
  return Json{{"clock", "processor time of one thread"}, {"rows", rows}}.dump();
}

}  // namespace

tsr_simulator make_simulator_node() {
  tsr_simulator node{};
  node.ext.struct_size = sizeof(node);
  node.ext.name = TSR_SIMULATOR_NAME;
  node.version = 1;
  return node;
}

std::string simulate_request(const Profile& profile, Numerics numerics,
                             const std::string& request) {
  const Json json = Json::parse(request, nullptr, false);
  if (json.is_discarded()) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "simulator: the request is not JSON");
  }
  if (json.is_object() && json.value("op", Json()) == "validate") {
    return run_validation(json);
  }
  if (json.is_object() && json.value("op", Json()) == "speed") {
    return run_speed();
  }
  if (json.is_object() && json.value("op", Json()) == "profile") {
    return Json{{"profile", profile.name},
                {"fixpipe", profile.exit.fixpipe},
                {"half_products", true},
                {"portable_ops", true},
                {"numerics", numerics == Numerics::kHw ? "hw" : "ref"}}
        .dump();
  }
  Request asked = read_request(json);
  asked.options.trace = asked.files.count("trace") != 0;
  const Simulation simulation = simulate(profile, asked.problem, asked.options);
  Json reply = report_json(profile, asked.problem, simulation);
  write_views(profile, asked, simulation);
  reply["files"] = asked.files;
  return reply.dump();
}

}  // namespace tessera::npu
