// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/bench/model_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "framework/cli/bench/ops_table.hpp"
#include "framework/cli/figures.hpp"
#include "framework/cli/table.hpp"

namespace tessera::cli {
namespace {

std::string duration_at(const Json& row, const char* key) {
  const Json& value = row.at(key);
  return value.is_number() ? duration_text(value.get<double>()) : "-";
}

std::string number_at(const Json& row, const char* key) {
  const Json& value = row.at(key);
  return value.is_number() ? number_text(value.get<double>()) : "-";
}

std::string heading(const Json& row) {
  std::string text =
      row.at("plan").is_null()
          ? fmt::format("{}, {}", row.at("device").get<std::string>(),
                        row.at("scheme").get<std::string>())
          : fmt::format("{} ({})", row.at("plan").get<std::string>(),
                        row.at("device").get<std::string>());
  if (row.at("clock") == "simulated") text += ", simulated time";
  if (row.at("memory").is_object()) {
    text += ": weights " +
            bytes_text(row.at("memory").at("weight_bytes").get<uint64_t>());
  }
  return text;
}

std::string shares_text(const Json& shares, size_t most) {
  Table table({{"  of prefill", Align::kRight},
               {"of decode", Align::kRight},
               {"part"}});
  double prefill = 0.0;
  double decode = 0.0;
  for (const Json& share : shares) {
    prefill += share.at("prefill_ns").get<double>();
    decode += share.at("decode_ns").get<double>();
  }
  const auto percent = [](const Json& part, double all) {
    return fmt::format("{:.1f} %",
                       all > 0.0 ? 100.0 * part.get<double>() / all : 0.0);
  };
  for (size_t i = 0; i < std::min(most, shares.size()); ++i) {
    table.add_row({percent(shares[i].at("prefill_ns"), prefill),
                   percent(shares[i].at("decode_ns"), decode),
                   shares[i].at("name").get<std::string>()});
  }
  return table.text();
}

std::string limit_text(const Json& row, const Json& limit) {
  const auto percent = [&](const char* key) {
    return 100.0 * limit.at(key).get<double>();
  };
  return wrapped(fmt::format(
      "  batch {}, context {}: a step reads {} at {:.1f} GB/s, {:.0f} % of the "
      "best read in this run ({:.1f} GB/s, {}), {:.0f} % of the median read",
      row.at("batch").dump(), row.at("context").dump(),
      bytes_text(static_cast<uint64_t>(limit.at("bytes").get<double>())),
      limit.at("achieved_per_ns").get<double>(), percent("achieved_over_limit"),
      limit.at("per_ns").get<double>(), limit.at("how").get<std::string>(),
      percent("achieved_over_reads")));
}

std::string group_text(const std::vector<const Json*>& rows) {
  Table table({{"batch", Align::kRight},
               {"context", Align::kRight},
               {"prompt/s", Align::kRight},
               {"first", Align::kRight},
               {"decode/s", Align::kRight},
               {"step p50", Align::kRight},
               {"p90", Align::kRight},
               {"p99", Align::kRight},
               {"KV", Align::kRight}});
  std::string notes;
  for (const Json* row : rows) {
    const auto reason = row->at("reason").get<std::string>();
    if (!reason.empty()) {
      notes += wrapped(fmt::format("  batch {}, context {}: {}",
                                   row->at("batch").dump(),
                                   row->at("context").dump(), reason));
      continue;
    }
    const Json& step = row->at("step_ns");
    table.add_row(
        {row->at("batch").dump(), row->at("context").dump(),
         number_at(*row, "prefill_tokens_per_s"),
         duration_at(*row, "first_token_ns"),
         number_at(*row, "decode_tokens_per_s"), duration_at(step, "p50"),
         duration_at(step, "p90"), duration_at(step, "p99"),
         bytes_text(row->at("memory").at("kv_bytes").get<uint64_t>())});
  }
  for (const Json* row : rows) {
    const Json& limit = row->at("decode_limit");
    if (limit.is_object()) notes += limit_text(*row, limit);
  }
  std::string text = heading(*rows.front()) + "\n" + table.text() + notes;
  const Json& breakdown = rows.back()->at("breakdown");
  if (breakdown.is_object()) {
    constexpr size_t kMostOps = 12;
    text += shares_text(breakdown.at("ops"), kMostOps);
  }
  return text + wrapped_command(rows.front()->at("group").get<std::string>()) +
         "\n";
}

}  // namespace

std::string model_text(const Json& rows) {
  std::string text;
  std::vector<const Json*> group;
  for (const Json& row : rows) {
    if (!group.empty() && group.front()->at("group") != row.at("group")) {
      text += group_text(group);
      group.clear();
    }
    group.push_back(&row);
  }
  if (!group.empty()) text += group_text(group);
  return text;
}

}  // namespace tessera::cli
