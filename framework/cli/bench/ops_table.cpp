// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/bench/ops_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <vector>

#include "framework/cli/figures.hpp"
#include "framework/cli/table.hpp"

namespace tessera::cli {
namespace {

constexpr size_t kColumns = 80;

std::string text_at(const Json& row, const char* key) {
  const auto found = row.find(key);
  if (found == row.end() || found->is_null()) return {};
  return found->is_string() ? found->get<std::string>() : found->dump();
}

double number_at(const Json& row, const char* key) {
  const auto found = row.find(key);
  return found != row.end() && found->is_number() ? found->get<double>() : 0.0;
}

std::string duration_at(const Json& row, const char* key) {
  const double ns = number_at(row, key);
  return ns > 0.0 ? duration_text(ns) : "-";
}

// "linear w8a8, M 128, N 4096, K 4096, hot"
std::string heading(const Json& row) {
  std::string text = row.at("op").get<std::string>();
  const std::string scheme = text_at(row, "scheme");
  if (!scheme.empty()) text += " " + scheme;
  const auto add = [&](const char* label, const char* key) {
    const std::string value = text_at(row, key);
    if (!value.empty()) text += fmt::format(", {}{}", label, value);
  };
  if (row.at("op") == "attention") {
    add("batch ", "batch");
    add("q_len ", "q_len");
    add("kv_len ", "kv_len");
    text += fmt::format(", {}/{} heads of {}", text_at(row, "heads"),
                        text_at(row, "kv_heads"), text_at(row, "head_dim"));
    add("", "kv_type");
  } else if (!text_at(row, "K").empty()) {
    add("M ", "M");
    add("N ", "N");
    add("K ", "K");
  } else {
    text += fmt::format(", {} x {}", text_at(row, "M"), text_at(row, "N"));
  }
  add("", "weights");
  return text;
}

// The same for rows that stand together.
std::string group_key(const Json& row) {
  std::string key = heading(row);
  const auto end = key.rfind(", ");
  const std::string last = key.substr(std::min(end, key.size()));
  // A simulated device knows no cache of weights.
  if (last == ", cold" || last == ", hot") key.resize(end);
  return key + text_at(row, "group");
}

bool is_simulated(const Json& row) { return row.at("clock") == "simulated"; }

// The wider half of the interval, in percent of the median.
std::string spread_text(const Json& row) {
  const double median = number_at(row, "median_ns");
  const Json& interval = row.at("ci95_ns");
  if (is_simulated(row) || median == 0.0 || !interval.is_array()) return "-";
  const double half = std::max(interval[1].get<double>() - median,
                               median - interval[0].get<double>());
  return fmt::format("{:.1f} %", 100.0 * half / median);
}

std::string rate_text(double per_ns, const char* unit) {
  if (per_ns >= 1000.0) return fmt::format("{:.4g} T{}/s", 1e-3 * per_ns, unit);
  return fmt::format("{:.4g} G{}/s", per_ns, unit);
}

// Of what the op is bound by, or of operations where that is unknown.
std::string rate_text(const Json& row) {
  const double ns = number_at(row, "median_ns");
  if (ns == 0.0) return "-";
  const double operations = number_at(row, "ops");
  if (text_at(row, "limit_kind") == "memory" || operations == 0.0) {
    return rate_text(number_at(row, "bytes") / ns, "B");
  }
  return rate_text(operations / ns, "OP");
}

std::string share_text(const Json& row) {
  const double share = number_at(row, "achieved_over_limit");
  if (share == 0.0) return "-";
  constexpr double kCells = 6.0;
  const auto filled =
      static_cast<size_t>(std::lround(std::clamp(share, 0.0, 1.0) * kCells));
  std::string bar;
  for (size_t i = 0; i < filled; ++i) bar += "█";
  bar += std::string(static_cast<size_t>(kCells) - filled, ' ');
  return fmt::format("{} {:.0f} %", bar, 100.0 * share);
}

void add_device(const Json& row, Table& table) {
  const bool simulated = is_simulated(row);
  table.add_row({text_at(row, "device"),
                 simulated ? "-" : duration_at(row, "median_ns"),
                 spread_text(row), simulated ? "-" : duration_at(row, "min_ns"),
                 simulated ? duration_at(row, "median_ns") + " sim"
                           : duration_at(row, "device_median_ns"),
                 rate_text(row), share_text(row)});
}

// What only a simulated device tells.
std::string simulation_text(const Json& row) {
  const Json& report = row.at("simulation");
  const Json& bytes = report.at("bytes");
  const double dram =
      bytes.value("dram_read", 0.0) + bytes.value("dram_write", 0.0);
  const Json& energy = report.at("energy");
  const double of_cube = report.value("cube_utilisation", 0.0);
  // An op of the vector cores alone has no share of the cube's peak.
  const std::string shares =
      of_cube == 0.0
          ? ""
          : fmt::format("{:.1f} % of cube peak, {:.1f} % of vendor peak, ",
                        100.0 * of_cube,
                        100.0 * report.value("vendor_utilisation", 0.0));
  return fmt::format(
      "  {}: {}DRAM {},\n"
      "    energy (estimate) {:.3g} mJ ({:.3g} to {:.3g})\n",
      text_at(row, "device"), shares, bytes_text(static_cast<uint64_t>(dram)),
      1e3 * energy.value("mid", 0.0), 1e3 * energy.value("low", 0.0),
      1e3 * energy.value("high", 0.0));
}

std::string group_text(const std::vector<const Json*>& rows) {
  Table table({{"device"},
               {"median", Align::kRight},
               {"+-", Align::kRight},
               {"best", Align::kRight},
               {"own clock", Align::kRight},
               {"rate", Align::kRight},
               {"of limit", Align::kRight}});
  std::string notes;
  for (const Json* row : rows) {
    const std::string reason = text_at(*row, "reason");
    if (!reason.empty()) {
      notes +=
          wrapped(fmt::format("  {}: {}", text_at(*row, "device"), reason));
      continue;
    }
    add_device(*row, table);
    if (is_simulated(*row)) notes += simulation_text(*row);
    if (row->value("drifts", false)) {
      notes += wrapped(fmt::format(
          "  {}: the machine changed its speed meanwhile; +- is wider for it",
          text_at(*row, "device")));
    }
    if (number_at(*row, "energy_nj") > 0.0) {
      notes += fmt::format("  {}: {:.3g} mJ an op\n", text_at(*row, "device"),
                           1e-6 * number_at(*row, "energy_nj"));
    }
  }
  return heading(*rows.front()) + "\n" + table.text() + notes +
         wrapped_command(text_at(*rows.front(), "group")) + "\n";
}

}  // namespace

std::string wrapped(const std::string& text, const std::string& joint) {
  constexpr std::string_view kIndent = "    ";
  std::istringstream words(text);
  std::string lines;
  std::string line = text.substr(0, text.find_first_not_of(' '));
  const size_t start = line.size();
  for (std::string word; words >> word;) {
    const bool is_first = line.size() == start || line == kIndent;
    if (!is_first && line.size() + 1 + word.size() + joint.size() > kColumns) {
      lines += line + joint + "\n";
      line = kIndent;
    }
    line += (line.empty() || line.back() == ' ' ? "" : " ") + word;
  }
  return lines + line + "\n";
}

std::string wrapped_command(const std::string& command) {
  return command.empty() ? "" : wrapped("  $ " + command, " \\");
}

std::string ops_text(const Json& rows) {
  std::string text;
  std::vector<const Json*> group;
  for (const Json& row : rows) {
    if (!group.empty() && group_key(*group.front()) != group_key(row)) {
      text += group_text(group);
      group.clear();
    }
    group.push_back(&row);
  }
  if (!group.empty()) text += group_text(group);
  return text;
}

}  // namespace tessera::cli
