// SPDX-License-Identifier: Apache-2.0
//
// tessera report: one page with the plots of runs, plans, quantizations and
// conformance; or its plots alone, for papers.

#include <fmt/format.h>

#include <CLI/Error.hpp>
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
#include "framework/cli/report/history_documents.hpp"
#include "framework/cli/report/pictures.hpp"
#include "framework/cli/table.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/report/page.hpp"

namespace tessera::cli {
namespace {

struct ReportOptions {
  std::vector<std::string> files;
  std::vector<std::string> histories;
  std::string out;
  std::string plot;  // empty: the page
  bool list = false;
  bool json = false;
};

constexpr const char* kAll = "all";

Result<report::Document> read_file(const std::string& path) {
  TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  const std::string name = std::filesystem::path(path).filename().string();
  const std::span<const std::byte> bytes = file.bytes();
  return report::read_document(
      name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

Result<std::vector<report::Document>> read_documents(
    const ReportOptions& options) {
  TSR_ASSIGN_OR_RETURN(std::vector<report::Document> documents,
                       history_documents(options.histories));
  for (const std::string& path : options.files) {
    TSR_ASSIGN_OR_RETURN(report::Document document, read_file(path));
    documents.push_back(std::move(document));
  }
  if (!documents.empty()) return documents;
  return Status(TSR_INVALID_ARGUMENT, "--db: there are no runs");
}

Status print_output(const ReportOptions& options, size_t bytes,
                    std::span<const report::Document> documents) {
  if (!options.json) {
    write_out(fmt::format("{}: {} documents\n", options.out, documents.size()));
    return {};
  }
  Json list = Json::array();
  for (const report::Document& document : documents) {
    list.push_back({{"name", document.name}, {"kind", document.kind}});
  }
  return print_json("report", {{"output", options.out},
                               {"bytes", bytes},
                               {"plots", report::has_plots()},
                               {"documents", std::move(list)}});
}

Status write_page(const ReportOptions& options,
                  std::span<const report::Document> documents) {
  const std::string page = report::make_page(documents);
  TSR_RETURN_IF_ERROR(write_file_atomically(options.out, page));
  if (!report::has_plots()) {
    write_err(
        "tessera report: built without Chart.js, so the page has tables alone; "
        "install libjs-chart.js and build again for plots\n");
  }
  return print_output(options, page.size(), documents);
}

Status list_plots(const ReportOptions& options,
                  std::span<const report::Document> documents) {
  TSR_ASSIGN_OR_RETURN(const std::vector<Picture> pictures,
                       find_pictures(documents, ""));
  if (options.json) {
    Json list = Json::array();
    for (const Picture& picture : pictures) {
      list.push_back({{"name", picture.name}, {"title", picture.title}});
    }
    return print_json("report --list-plots", list);
  }
  Table table({{"plot"}, {"title"}});
  for (const Picture& picture : pictures) {
    table.add_row({picture.name, picture.title});
  }
  write_out(table.text());
  return {};
}

// Where a picture goes: the file of -o, or of all a file in the folder of -o.
std::string path_of(const ReportOptions& options, const Picture& picture) {
  if (options.plot != kAll) return options.out;
  return (std::filesystem::path(options.out) / (picture.name + ".svg"))
      .string();
}

Status write_plots(const ReportOptions& options,
                   std::span<const report::Document> documents) {
  TSR_ASSIGN_OR_RETURN(const std::vector<Picture> pictures,
                       find_pictures(documents, options.plot));
  if (options.plot == kAll) {
    std::error_code code;
    std::filesystem::create_directories(options.out, code);
    if (code) {
      return {TSR_FAILED_PRECONDITION,
              fmt::format("-o {}: {}", options.out, code.message())};
    }
  }
  Json list = Json::array();
  for (const Picture& picture : pictures) {
    const std::string path = path_of(options, picture);
    TSR_RETURN_IF_ERROR(write_picture(picture, path));
    list.push_back(
        {{"name", picture.name}, {"title", picture.title}, {"output", path}});
    if (!options.json) {
      write_out(fmt::format("{}: {}\n", path, picture.title));
    }
  }
  return options.json ? print_json("report --plot", list) : Status();
}

Status run_report(const ReportOptions& options) {
  TSR_ASSIGN_OR_RETURN(const std::vector<report::Document> documents,
                       read_documents(options));
  if (options.list) return list_plots(options, documents);
  if (!options.plot.empty()) return write_plots(options, documents);
  return write_page(options, documents);
}

void add_report_options(CLI::App& app, ReportOptions& options) {
  app.add_option("files", options.files,
                 "JSON of bench ops, bench model, bench show, compare, "
                 "quantize, conform and devices --env, plans of plan, traces "
                 "of bench ops --trace")
      ->type_name("FILE");
  app.add_option("--db", options.histories,
                 "Histories of `bench`, of this and other machines, which the "
                 "page compares; several with commas")
      ->delimiter(',')
      ->type_name("FILE");
  app.add_option("-o,--output", options.out,
                 "Page to write; with --plot the .svg or .png file; with "
                 "--plot all a folder")
      ->type_name("PAGE.html");
  CLI::Option* plot =
      app.add_option("--plot", options.plot,
                     "Write this plot alone, as SVG or PNG: a name of "
                     "--list-plots, or all")
          ->type_name("NAME");
  app.add_flag("--list-plots", options.list, "Name the plots that there are")
      ->excludes(plot);
}

}  // namespace

Command add_report_command(CLI::App& tessera) {
  CLI::App* app = tessera.add_subcommand(
      "report", "Write one HTML page with plots; it needs no network");
  auto options = std::make_shared<ReportOptions>();
  add_report_options(*app, *options);
  add_json_option(*app, options->json);
  app->parse_complete_callback([options] {
    if (options->files.empty() && options->histories.empty()) {
      throw CLI::RequiredError("FILE or --db");
    }
    if (options->out.empty() && !options->list) {
      throw CLI::RequiredError("-o,--output");
    }
  });
  app->footer(
      "--plot runs node (package nodejs), and for PNG rsvg-convert "
      "(librsvg2-bin).\n\n"
      "Examples:\n"
      "  tessera bench ops --preset qwen3-0.6b --json > ops.json\n"
      "  tessera compare --json > compare.json\n"
      "  tessera report ops.json compare.json plan.json -o report.html\n"
      "  tessera report --db laptop.db,server.db -o machines.html\n"
      "  tessera report ops.json --plot roofline-cpu -o roofline.png");
  return {app, [options] { return run_report(*options); }};
}

}  // namespace tessera::cli
