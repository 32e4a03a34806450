// SPDX-License-Identifier: Apache-2.0
//
// The page's own script draws them, in a JavaScript engine without a browser;
// so a plot in a paper is the plot on the page.

#include "framework/cli/report/pictures.hpp"

#include <fmt/format.h>

#include <utility>

#include "framework/base/atomic_file.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/report/program.hpp"
#include "framework/report/page.hpp"

namespace tessera::cli {
namespace {

// Two pixels for each of the drawing's units: 2 x 96 dpi.
constexpr const char* kZoom = "2";

Status lacks(const Status& status, const std::string& what,
             const std::string& package) {
  if (status.code() != TSR_NOT_FOUND) return status;
  return {TSR_FAILED_PRECONDITION,
          fmt::format("{} needs {}: install the package {}", what,
                      status.message().substr(0, status.message().find(':')),
                      package)};
}

Result<Json> draw(std::span<const report::Document> documents,
                  const std::vector<std::string>& names) {
  const std::string script = report::picture_script(documents, names);
  Result<std::string> printed = run_program("node", {"-"}, script);
  // Debian once called it so.
  if (!printed.ok() && printed.status().code() == TSR_NOT_FOUND) {
    printed = run_program("nodejs", {"-"}, script);
    if (!printed.ok()) return lacks(printed.status(), "--plot", "nodejs");
  }
  if (!printed.ok()) return std::move(printed).status();
  Json json = Json::parse(*printed, nullptr, false);
  if (json.is_object() && json.contains("pictures")) return json;
  return Status(TSR_INTERNAL, "node printed no pictures");
}

}  // namespace

Result<std::vector<Picture>> find_pictures(
    std::span<const report::Document> documents, const std::string& wanted) {
  if (!report::has_plots()) {
    return Status(TSR_FAILED_PRECONDITION,
                  "this build has no Chart.js: install libjs-chart.js and "
                  "build again");
  }
  std::vector<std::string> names;
  if (!wanted.empty()) names.push_back(wanted);
  TSR_ASSIGN_OR_RETURN(const Json json, draw(documents, names));
  std::vector<Picture> pictures;
  for (const Json& one : json.at("pictures")) {
    pictures.push_back(
        {one.value("name", ""), one.value("title", ""), one.value("svg", "")});
  }
  if (!pictures.empty()) return pictures;
  std::string known;
  for (const Json& name : json.at("names")) {
    known += (known.empty() ? "" : ", ") + name.get<std::string>();
  }
  if (known.empty()) known = "none";
  return Status(TSR_NOT_FOUND,
                wanted.empty() ? "these files have no plot"
                               : fmt::format("--plot {}: these files have {}",
                                             wanted, known));
}

Status write_picture(const Picture& picture, const std::string& path) {
  if (path.ends_with(".svg")) return write_file_atomically(path, picture.svg);
  if (!path.ends_with(".png")) {
    return {
        TSR_INVALID_ARGUMENT,
        fmt::format("-o {}: a plot is written to a .svg or a .png file", path)};
  }
  Result<std::string> png =
      run_program("rsvg-convert", {"--zoom", kZoom}, picture.svg);
  if (!png.ok()) return lacks(png.status(), "a .png file", "librsvg2-bin");
  return write_file_atomically(path, *png);
}

}  // namespace tessera::cli
