// SPDX-License-Identifier: Apache-2.0
//
// tessera report: one page with the plots of runs, plans, quantizations and
// conformance.

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/base/atomic_file.hpp"
#include "framework/base/mapped_file.hpp"
#include "framework/cli/command.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/report/page.hpp"

namespace tessera::cli {
namespace {

struct ReportOptions {
  std::vector<std::string> files;
  std::string out;
  bool json = false;
};

Status run_report(const ReportOptions& options) {
  std::vector<report::Document> documents;
  for (const std::string& path : options.files) {
    TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
    const std::string name = std::filesystem::path(path).filename().string();
    const std::span<const std::byte> bytes = file.bytes();
    TSR_ASSIGN_OR_RETURN(
        report::Document document,
        report::read_document(
            name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
    documents.push_back(std::move(document));
  }
  const std::string page = report::make_page(documents);
  TSR_RETURN_IF_ERROR(write_file_atomically(options.out, page));
  if (!report::has_plots()) {
    write_err(
        "tessera report: built without Chart.js, so the page has tables alone; "
        "install libjs-chart.js and build again for plots\n");
  }
  if (!options.json) {
    write_out(fmt::format("{}: {} documents\n", options.out, documents.size()));
    return {};
  }
  Json list = Json::array();
  for (const report::Document& document : documents) {
    list.push_back({{"name", document.name}, {"kind", document.kind}});
  }
  print_json({{"output", options.out},
              {"bytes", page.size()},
              {"plots", report::has_plots()},
              {"documents", std::move(list)}});
  return {};
}

}  // namespace

Command add_report_command(CLI::App& tessera) {
  CLI::App* app = tessera.add_subcommand(
      "report", "Write one HTML page with plots; it needs no network");
  auto options = std::make_shared<ReportOptions>();
  app->add_option("files", options->files,
                  "JSON of bench ops, bench model, compare, quantize, conform "
                  "and devices --env, plans of plan, traces of bench ops "
                  "--trace")
      ->required()
      ->type_name("FILE");
  app->add_option("-o,--output", options->out, "Page to write")
      ->required()
      ->type_name("PAGE.html");
  add_json_option(*app, options->json);
  app->footer(
      "Examples:\n"
      "  tessera bench ops --preset qwen3-0.6b --json > ops.json\n"
      "  tessera compare --json > compare.json\n"
      "  tessera report ops.json compare.json plan.json -o report.html");
  return {app, [options] { return run_report(*options); }};
}

}  // namespace tessera::cli
