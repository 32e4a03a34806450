// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/conform/conformance_report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "framework/cli/table.hpp"

namespace tessera::cli {
namespace {

using conformance::CaseResult;
using conformance::KitReport;
using conformance::Verdict;

constexpr Verdict kVerdicts[] = {
    Verdict::kPass,          Verdict::kFail,        Verdict::kCrash,
    Verdict::kHang,          Verdict::kUnsupported, Verdict::kExpectedFailure,
    Verdict::kUnexpectedPass};
constexpr const char* kLevelNames[] = {
    "0 contract", "1 numerics", "2 robustness", "3 performance", "4 model"};

size_t total(const KitReport& report, uint32_t level) {
  return static_cast<size_t>(std::count_if(
      report.results.begin(), report.results.end(),
      [level](const CaseResult& r) { return r.level() == level; }));
}

// Bytes that XML and HTML take as text; control characters are dropped.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (static_cast<unsigned char>(c) >= 0x20) {
      out += c;
    }
  }
  return out;
}

std::string junit_case(const KitReport& report, const CaseResult& result) {
  std::string text =
      fmt::format("    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\">",
                  escaped(report.plugin), escaped(result.id), result.seconds);
  const std::string reason = escaped(result.reason);
  const std::string verdict = conformance::verdict_name(result.verdict);
  if (conformance::is_failure(result.verdict)) {
    text +=
        fmt::format("<failure type=\"{}\" message=\"{}\">{}</failure>", verdict,
                    reason, escaped(report.rerun_command(result.id)));
  } else if (result.verdict != Verdict::kPass) {
    text += fmt::format("<skipped message=\"{}: {}\"/>", verdict, reason);
  }
  return text + "</testcase>\n";
}

// What level 3 measured, one line for each case.
std::string figures_text(const KitReport& report) {
  std::string text;
  for (const CaseResult& result : report.results) {
    if (result.figures.empty()) continue;
    text += fmt::format("\n{}\n ", result.id);
    for (const conformance::Figure& figure : result.figures) {
      text += fmt::format(" {} {:.4g}", figure.name, figure.value);
    }
    text += "\n";
  }
  return text;
}

}  // namespace

std::string report_text(const KitReport& report) {
  std::vector<Column> columns = {{"level"}};
  for (const Verdict verdict : kVerdicts) {
    columns.push_back({conformance::verdict_name(verdict), Align::kRight});
  }
  Table table(std::move(columns));
  for (uint32_t level = 0; level <= report.options.max_level; ++level) {
    std::vector<std::string> cells = {kLevelNames[level]};
    for (const Verdict verdict : kVerdicts) {
      cells.push_back(std::to_string(report.count(level, verdict)));
    }
    table.add_row(std::move(cells));
  }
  std::string text =
      fmt::format("{} {} on {}, seed {}, {:.1f} s\n\n{}", report.plugin,
                  report.version, report.subject.device,
                  report.options.cases.seed, report.seconds, table.text());
  if (report.left_out > 0) {
    text +=
        fmt::format("{} cases left out for lack of time: --budget 0 runs all\n",
                    report.left_out);
  }
  text += figures_text(report);
  for (const CaseResult& result : report.results) {
    if (!conformance::is_failure(result.verdict)) continue;
    text += fmt::format("\n{}  {}\n  {}\n  rerun: {}\n",
                        conformance::verdict_name(result.verdict), result.id,
                        result.reason, report.rerun_command(result.id));
  }
  return text;
}

Json report_json(const KitReport& report) {
  Json json;
  json["plugin"] = report.plugin;
  json["version"] = report.version;
  json["library"] = report.library;
  json["sha256"] = report.subject.sha256;
  json["device"] = report.subject.device;
  json["hardware"] = report.subject.hardware;
  json["driver"] = report.subject.driver;
  json["seed"] = report.options.cases.seed;
  json["quick"] = report.options.cases.quick;
  json["seconds"] = report.seconds;
  json["left_out"] = report.left_out;
  json["passed"] = report.passed();
  json["levels"] = Json::array();
  for (uint32_t level = 0; level <= report.options.max_level; ++level) {
    Json one;
    one["level"] = level;
    one["passed"] = report.count(level, Verdict::kPass);
    one["failed"] = report.count(level, Verdict::kFail) +
                    report.count(level, Verdict::kUnexpectedPass);
    one["crashed"] = report.count(level, Verdict::kCrash);
    one["hung"] = report.count(level, Verdict::kHang);
    one["unsupported"] = report.count(level, Verdict::kUnsupported);
    one["expected_failure"] = report.count(level, Verdict::kExpectedFailure);
    one["total"] = total(report, level);
    json["levels"].push_back(std::move(one));
  }
  json["figures"] = Json::object();
  for (const CaseResult& result : report.results) {
    for (const conformance::Figure& figure : result.figures) {
      json["figures"][result.id][figure.name] = figure.value;
    }
  }
  json["failures"] = Json::array();
  json["unsupported"] = Json::array();
  for (const CaseResult& result : report.results) {
    Json one;
    one["case"] = result.id;
    one["verdict"] = conformance::verdict_name(result.verdict);
    one["reason"] = result.reason;
    if (conformance::is_failure(result.verdict)) {
      one["rerun"] = report.rerun_command(result.id);
      json["failures"].push_back(std::move(one));
    } else if (result.verdict != Verdict::kPass) {
      json["unsupported"].push_back(std::move(one));
    }
  }
  return json;
}

std::string junit_text(const KitReport& report) {
  std::string text =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (uint32_t level = 0; level <= report.options.max_level; ++level) {
    const size_t failures = report.count(level, Verdict::kFail) +
                            report.count(level, Verdict::kCrash) +
                            report.count(level, Verdict::kHang) +
                            report.count(level, Verdict::kUnexpectedPass);
    text += fmt::format(
        "  <testsuite name=\"{} level {}\" tests=\"{}\" failures=\"{}\">\n",
        escaped(report.plugin), kLevelNames[level], total(report, level),
        failures);
    for (const CaseResult& result : report.results) {
      if (result.level() == level) text += junit_case(report, result);
    }
    text += "  </testsuite>\n";
  }
  return text + "</testsuites>\n";
}

std::string html_text(const KitReport& report) {
  std::string rows;
  for (const CaseResult& result : report.results) {
    rows += fmt::format(
        "<tr class=\"{0}\"><td>{0}</td><td>{1}</td><td>{2:.1f}</td><td>{3}{4}"
        "</td></tr>\n",
        conformance::verdict_name(result.verdict), escaped(result.id),
        result.seconds * 1000.0, escaped(result.reason),
        conformance::is_failure(result.verdict)
            ? "<br><code>" + escaped(report.rerun_command(result.id)) +
                  "</code>"
            : "");
  }
  std::string levels;
  for (uint32_t level = 0; level <= report.options.max_level; ++level) {
    levels += fmt::format("<tr><td>{}</td>", kLevelNames[level]);
    for (const Verdict verdict : kVerdicts) {
      levels += fmt::format("<td>{}</td>", report.count(level, verdict));
    }
    levels += "</tr>\n";
  }
  std::string heads;
  for (const Verdict verdict : kVerdicts) {
    heads += "<th>" + conformance::verdict_name(verdict) + "</th>";
  }
  return fmt::format(
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\n"
      "<title>{0}: conformance</title>\n"
      "<style>body{{font:15px sans-serif;margin:2em}}"
      "table{{border-collapse:collapse;margin-bottom:2em}}"
      "td,th{{padding:.2em .8em;border-bottom:1px solid #ddd;text-align:left}}"
      ".fail td,.crash td,.hang td,.unexpected_pass td{{background:#fdd}}"
      ".unsupported td,.expected_failure td{{color:#777}}</style>\n"
      "<h1>{0} {1}: {2}</h1>\n"
      "<p>{3}, driver {4}, SHA-256 {5}, seed {6}, {7:.1f} s</p>\n"
      "<table><tr><th>level</th>{8}</tr>\n{9}</table>\n"
      "<table><tr><th>verdict</th><th>case</th><th>ms</th><th>reason</th></tr>"
      "\n{10}</table></html>\n",
      escaped(report.plugin), escaped(report.version),
      report.passed() ? "conforms" : "does not conform",
      escaped(report.subject.device), escaped(report.subject.driver),
      escaped(report.subject.sha256), report.options.cases.seed, report.seconds,
      heads, levels, rows);
}

}  // namespace tessera::cli
