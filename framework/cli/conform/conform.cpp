// SPDX-License-Identifier: Apache-2.0
//
// tessera conform: the vendor's kit.

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/atomic_file.hpp"
#include "framework/base/mapped_file.hpp"
#include "framework/cli/command.hpp"
#include "framework/cli/conform/conform_model.hpp"
#include "framework/cli/conform/conformance_report.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/date.hpp"
#include "framework/cli/plugin/find_library.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/conformance/kit/running/runner.hpp"
#include "framework/host/trust/certificate.hpp"

namespace tessera::cli {
namespace {

// Of a quick run; it ends within ten.  Side by side, for most of a first run
// are kernels that are compiled.
constexpr double kQuickSeconds = 8.0;
constexpr uint32_t kQuickJobs = 2;

struct ConformOptions {
  std::string plugin;
  conformance::KitOptions kit;
  std::optional<double> budget_seconds;
  std::optional<uint32_t> jobs;
  std::string declarations;
  std::vector<std::string> device_options;  // "key=value"
  std::string one_case;
  std::string junit;
  std::string html;
  bool list = false;
  bool in_process = false;
  bool verbose = false;
  bool json = false;
};

Status read_declarations(ConformOptions& options) {
  if (options.declarations.empty()) return {};
  TSR_ASSIGN_OR_RETURN(const MappedFile file,
                       MappedFile::open(options.declarations));
  const std::string text(reinterpret_cast<const char*>(file.bytes().data()),
                         file.bytes().size());
  Result<std::vector<conformance::DeclaredFailure>> declared =
      conformance::parse_declarations(text);
  TSR_RETURN_IF_ERROR(
      declared.status().ok()
          ? Status()
          : Status(declared.status()).annotate(options.declarations));
  options.kit.declared = std::move(*declared);
  return {};
}

Status run_here(const ConformOptions& options) {
  TSR_ASSIGN_OR_RETURN(
      const conformance::CaseResult result,
      conformance::run_case_here(options.kit, options.one_case));
  write_out(fmt::format("{}  {}{}{}\n",
                        conformance::verdict_name(result.verdict), result.id,
                        result.reason.empty() ? "" : "\n  ", result.reason));
  if (!conformance::is_failure(result.verdict)) return {};
  return {TSR_FAILED_PRECONDITION, "the case failed"};
}

Status list_ids(const ConformOptions& options) {
  TSR_ASSIGN_OR_RETURN(const std::vector<std::string> ids,
                       conformance::list_cases(options.kit));
  if (options.json) {
    return print_json("conform --list", ids);
  }
  for (const std::string& id : ids) write_out(id + "\n");
  return {};
}

Status write_reports(const ConformOptions& options,
                     const conformance::KitReport& report) {
  if (!options.junit.empty()) {
    TSR_RETURN_IF_ERROR(
        write_file_atomically(options.junit, junit_text(report)));
  }
  if (!options.html.empty()) {
    TSR_RETURN_IF_ERROR(write_file_atomically(options.html, html_text(report)));
  }
  return {};
}

// What passes whole earns a certificate, unless it has one of a higher level;
// what fails loses it, and one that came with the plugin, too.  It speaks of
// the device as it is opened without options.  A machine without a place for
// certificates can still run the kit.
std::string update_certificate(const conformance::KitReport& report) {
  const CertificateStore store = user_certificates();
  if (report.subject.sha256.empty()) return "";
  if (!report.options.device_options.empty()) return "";
  if (report.failed()) {
    const Status revoked = store.revoke(report.subject);
    return revoked.ok() ? "" : "\nnot remembered: " + revoked.message() + "\n";
  }
  if (!report.passed() || !report.is_complete()) return "";
  const Certificate certificate = report.certificate(today());
  const std::optional<Certificate> before = store.find(report.subject);
  if (before && before->level > certificate.level) {
    return fmt::format("\ncertified before: level {} of {}\n", before->level,
                       before->issued);
  }
  const Status saved = store.save(certificate);
  return saved.ok() ? fmt::format(
                          "\ncertified: level {}, shown by tessera "
                          "devices\n",
                          certificate.level)
                    : "\nno certificate: " + saved.message() + "\n";
}

Status choose_jobs(ConformOptions& options) {
  conformance::KitOptions& kit = options.kit;
  const bool times_kernels = kit.max_level >= 3;
  if (times_kernels && options.jobs.value_or(1) > 1) {
    return {TSR_INVALID_ARGUMENT,
            "--jobs: level 3 times kernels, which wants one case at a time"};
  }
  const bool is_quick = kit.cases.quick && !times_kernels;
  kit.num_jobs = options.jobs.value_or(is_quick ? kQuickJobs : 1);
  return {};
}

Status run_conform(ConformOptions options) {
  TSR_ASSIGN_OR_RETURN(options.kit.library, find_library(options.plugin));
  TSR_RETURN_IF_ERROR(read_declarations(options));
  options.kit.device_options = option_pairs(options.device_options);
  if (!options.device_options.empty() && options.kit.max_level >= 4) {
    return {TSR_INVALID_ARGUMENT,
            "--option does not go with --level 4, whose model runs on the "
            "device as it is opened without options"};
  }
  options.kit.budget_seconds = options.budget_seconds.value_or(
      options.kit.cases.quick ? kQuickSeconds : 0.0);
  TSR_RETURN_IF_ERROR(choose_jobs(options));
  if (options.list) return list_ids(options);
  if (options.in_process) {
    options.kit.show_log = true;
    return run_here(options);
  }
  if (!options.one_case.empty()) options.kit.filter = options.one_case;
  if (options.verbose) {
    options.kit.progress = [](const conformance::CaseResult& result) {
      write_err(fmt::format("{:<16} {} {:.3f} s\n",
                            conformance::verdict_name(result.verdict),
                            result.id, result.seconds));
    };
  }
  TSR_ASSIGN_OR_RETURN(conformance::KitReport report,
                       conformance::run_kit(options.kit));
  const bool wants_model = options.kit.max_level >= 4 &&
                           conformance::matches(options.kit.filter, kModelCase);
  if (wants_model && !report.plugin.empty()) {
    TSR_ASSIGN_OR_RETURN(conformance::CaseResult model, check_model(report));
    report.results.push_back(std::move(model));
  }
  TSR_RETURN_IF_ERROR(write_reports(options, report));
  const std::string certified = update_certificate(report);
  if (options.json) {
    TSR_RETURN_IF_ERROR(print_json("conform", report_json(report)));
  } else {
    write_out(report_text(report) + certified);
  }
  if (report.passed()) return {};
  if (report.results.size() <= 1 && report.count(conformance::Verdict::kPass)) {
    return {TSR_FAILED_PRECONDITION,
            "nothing was executed: no case matches " + options.kit.filter};
  }
  return {TSR_FAILED_PRECONDITION, report.library + " does not conform"};
}

}  // namespace

Command add_conform_command(CLI::App& tessera) {
  CLI::App* app = tessera.add_subcommand(
      "conform", "Check a plugin against all it claims; for its vendor");
  auto options = std::make_shared<ConformOptions>();
  app->add_option("PLUGIN", options->plugin,
                  "Name of a plugin, or path of its library")
      ->required();
  app->add_option("--device", options->kit.device_index,
                  "Which of the plugin's devices")
      ->type_name("INDEX");
  add_device_options(*app, options->device_options);
  app->add_option("--level", options->kit.max_level,
                  "Highest level: 0 contract, 1 numerics, 2 robustness, 3 "
                  "performance, 4 the default model")
      ->check(CLI::Range(0, 4))
      ->capture_default_str();
  app->add_flag("--quick", options->kit.cases.quick,
                "Fewer cases, and as many as there is time for");
  app->add_option("--budget", options->budget_seconds,
                  "Seconds after which no case is begun but the first of "
                  "each level; 0 is no end; left out: 8 with --quick, else 0")
      ->check(not_negative_validator())
      ->type_name("SECONDS");
  app->add_option("--jobs", options->jobs,
                  "Cases that run side by side, each in a child of its own; "
                  "left out: 2 with --quick, else 1")
      ->check(CLI::Range(1, 64))
      ->type_name("N");
  app->add_option("--seed", options->kit.cases.seed, "Of all random data")
      ->capture_default_str();
  app->add_option("--filter", options->kit.filter,
                  "Only cases whose id matches; * is any text")
      ->type_name("PATTERN");
  app->add_option("--case", options->one_case, "One case by its id")
      ->type_name("ID");
  app->add_flag("--list", options->list, "Name the cases; run none");
  app->add_flag("--in-process", options->in_process,
                "Run --case in this process, for a debugger")
      ->needs("--case");
  app->add_option("--declare", options->declarations,
                  "File with lines: expected_failure PATTERN REASON")
      ->check(CLI::ExistingFile)
      ->type_name("FILE");
  app->add_option("--patience", options->kit.patience,
                  "Factor of the time that a case may take")
      ->check(positive_validator())
      ->capture_default_str();
  app->add_option("--junit", options->junit, "Write JUnit XML")
      ->type_name("FILE");
  app->add_option("--html", options->html, "Write a page")->type_name("FILE");
  app->add_flag("-v,--verbose", options->verbose, "Show each case as it ends");
  add_json_option(*app, options->json);
  app->footer(
      "Example:\n  tessera conform ./build/plugins/tsr_plugin_mine.so --quick");
  return {app, [options] { return run_conform(*options); }};
}

}  // namespace tessera::cli
