// SPDX-License-Identifier: Apache-2.0
//
// tessera npu: what belongs to the simulated NPU alone.

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>

#include "framework/base/atomic_file.hpp"
#include "framework/bench/simulated_op.hpp"
#include "framework/cli/command.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/npu/npu_launches.hpp"
#include "framework/cli/target_options.hpp"

namespace tessera::cli {
namespace {

struct ValidateOptions {
  std::string rows;
  std::string markdown;
  bool json = false;
};

// Any of them can run the rows of all profiles.
Result<std::shared_ptr<Device>> open_simulator(const Registry& registry) {
  for (const DeviceEntry& entry : registry.devices()) {
    if (entry.status.ok() && bench::is_simulator(entry.facts.info)) {
      return registry.open(entry.name);
    }
  }
  return Status(TSR_NOT_FOUND, "no simulated device; see tessera devices");
}

Status run_validate(const ValidateOptions& options) {
  const Registry registry = discover_plugins(0, false);
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       open_simulator(registry));
  Json request;
  request["op"] = "validate";
  if (!options.rows.empty()) {
    std::error_code code;
    request["rows"] = std::filesystem::absolute(options.rows, code).string();
  }
  TSR_ASSIGN_OR_RETURN(Json report, bench::ask_simulator(*device, request));
  const std::string markdown = report.value("markdown", "");
  report.erase("markdown");
  if (!options.markdown.empty()) {
    TSR_RETURN_IF_ERROR(write_file_atomically(options.markdown, markdown));
  }
  if (options.json) {
    TSR_RETURN_IF_ERROR(print_json("npu validate", report));
  } else {
    write_out(markdown);
  }
  if (report.value("passed", false)) return {};
  return {TSR_FAILED_PRECONDITION, "a row is outside its tolerance"};
}

struct SpeedOptions {
  bool json = false;
};

Status run_speed(const SpeedOptions& options) {
  const Registry registry = discover_plugins(0, false);
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                       open_simulator(registry));
  Json request;
  request["op"] = "speed";
  TSR_ASSIGN_OR_RETURN(const Json report,
                       bench::ask_simulator(*device, request));
  if (options.json) {
    return print_json("npu speed", report);
  }
  std::string text = fmt::format(
      "{:8} {:>12} {:>12} {:>14} {:>16} {:>14}\n", "profile", "estimate us",
      "median us", "asked again us", "qwen3-8b step s", "8192 cubed s");
  for (const Json& row : report.value("rows", Json::array())) {
    text += fmt::format("{:8} {:12.2f} {:12.2f} {:14.2f} {:16.3f} {:14.3f}\n",
                        row.value("profile", ""), row.value("estimate_us", 0.0),
                        row.value("estimate_median_us", 0.0),
                        row.value("remembered_estimate_us", 0.0),
                        row.value("qwen3_8b_decode_step_s", 0.0),
                        row.value("gemm_8192_cubed_f16_s", 0.0));
  }
  text += fmt::format("{}\n", report.value("clock", ""));
  write_out(text);
  return {};
}

void add_speed_command(CLI::App& npu,
                       const std::shared_ptr<SpeedOptions>& options) {
  CLI::App* app = npu.add_subcommand(
      "speed", "Measure how long the simulator itself takes");
  add_json_option(*app, options->json);
  app->footer("Example:\n  tessera npu speed");
}

}  // namespace

Command add_npu_command(CLI::App& tessera) {
  CLI::App* npu = tessera.add_subcommand("npu", "Check the simulated NPU");
  npu->require_subcommand(1);
  CLI::App* app = npu->add_subcommand(
      "validate", "Rerun public measurements on the machine model");
  auto options = std::make_shared<ValidateOptions>();
  app->add_option("--rows", options->rows,
                  "File with further rows; docs/npu_simulator.md has its keys")
      ->check(CLI::ExistingFile)
      ->type_name("FILE");
  app->add_option("--markdown", options->markdown,
                  "Write the report as a page, such as docs/npu_validation.md")
      ->type_name("FILE");
  add_json_option(*app, options->json);
  app->footer("Example:\n  tessera npu validate --json");
  auto speed = std::make_shared<SpeedOptions>();
  add_speed_command(*npu, speed);
  const Command launches = add_npu_launches_command(*npu);
  return {npu, [npu, options, speed, launches] {
            if (npu->got_subcommand("launches")) return launches.run();
            return npu->got_subcommand("speed") ? run_speed(*speed)
                                                : run_validate(*options);
          }};
}

}  // namespace tessera::cli
