// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/compare/comparison_report.hpp"

#include <fmt/format.h>

#include "framework/cli/figures.hpp"
#include "framework/cli/table.hpp"

namespace tessera::cli {
namespace {

uint64_t total(const Session::Memory& memory) {
  return memory.weight_bytes + memory.kv_bytes + memory.workspace_bytes;
}

double bits_per_weight(const ComparisonSide& side) {
  return 8.0 * static_cast<double>(side.stored_bytes) /
         static_cast<double>(side.parameters);
}

double ratio(double above, double below) {
  return below == 0.0 ? 0.0 : above / below;
}

double compression_ratio(const ComparisonRow& row) {
  return ratio(static_cast<double>(row.original.stored_bytes),
               static_cast<double>(row.candidate.stored_bytes));
}

double speedup(const ComparisonRow& row) {
  return ratio(row.candidate_speed->decode_tokens_per_s,
               row.original_speed->decode_tokens_per_s);
}

void add_row(const ComparisonRow& row, Table& table) {
  if (!row.status.ok()) {
    table.add_row(
        {row.device, row.name, "-", "-", "-", "-", "-", "-", "-", "-"});
    return;
  }
  const ComparisonSide& side = row.candidate;
  std::string latency = "-";
  std::string faster = "-";
  if (row.candidate_speed) {
    latency = number_text(1000.0 / row.candidate_speed->decode_tokens_per_s);
    faster = fmt::format("{:.2f}x", speedup(row));
  }
  table.add_row({row.device, row.name, bytes_text(side.stored_bytes),
                 fmt::format("{:.2f}x", compression_ratio(row)), latency,
                 faster, fmt::format("{:.3f}", side.metrics.perplexity.value),
                 number_text(side.metrics.kl_mean.value),
                 fmt::format("{:.2f}", 100.0 * side.metrics.top1.value),
                 bytes_text(total(side.memory))});
}

Json triple(const char* third, double original, double quantized,
            double value) {
  Json json;
  json["original"] = original;
  json["quantized"] = quantized;
  json[third] = value;
  return json;
}

// The three figures of the article that asks for this table.
void add_promised(const ComparisonRow& row, Json& json) {
  Json size;
  size["original"] = row.original.stored_bytes;
  size["quantized"] = row.candidate.stored_bytes;
  size["compression_ratio"] = compression_ratio(row);
  json["model_size"] = std::move(size);
  json["inference_speed"] = nullptr;
  if (row.candidate_speed) {
    json["inference_speed"] =
        triple("speedup", row.original_speed->decode_tokens_per_s,
               row.candidate_speed->decode_tokens_per_s, speedup(row));
  }
  const double before = row.original.metrics.accuracy.value;
  const double after = row.candidate.metrics.accuracy.value;
  json["accuracy"] = triple("degradation", before, after, before - after);
}

Json row_json(const ComparisonRow& row) {
  Json json;
  json["device"] = row.device;
  json["scheme"] = row.name;
  json["clock"] = row.clock;
  json["reason"] = row.status.message();
  if (!row.status.ok()) return json;
  add_promised(row, json);
  const ComparisonSide& side = row.candidate;
  json["bits_per_weight"] = bits_per_weight(side);
  add_estimate(json, "perplexity", side.metrics.perplexity);
  add_estimate(json, "kl_mean", side.metrics.kl_mean);
  add_estimate(json, "kl_p99", side.metrics.kl_p99);
  add_estimate(json, "top1", side.metrics.top1);
  json["tokens"] = side.metrics.num_tokens;
  json["prefill_tokens_per_s"] = nullptr;
  json["decode_tokens_per_s"] = nullptr;
  if (row.candidate_speed) {
    json["prefill_tokens_per_s"] = row.candidate_speed->prefill_tokens_per_s;
    json["decode_tokens_per_s"] = row.candidate_speed->decode_tokens_per_s;
  }
  json["memory_bytes"] = total(side.memory);
  return json;
}

}  // namespace

std::string comparison_text(const std::vector<ComparisonRow>& rows) {
  Table table({{"device"},
               {"scheme"},
               {"size", Align::kRight},
               {"ratio", Align::kRight},
               {"ms/token", Align::kRight},
               {"speed", Align::kRight},
               {"ppl", Align::kRight},
               {"KL", Align::kRight},
               {"top-1 %", Align::kRight},
               {"memory", Align::kRight}});
  std::string refusals;
  for (const ComparisonRow& row : rows) {
    add_row(row, table);
    if (row.status.ok()) continue;
    refusals +=
        fmt::format("{} {}: {}\n", row.device, row.name, row.status.message());
  }
  return table.text() + (refusals.empty() ? "" : "\n" + refusals);
}

Json comparison_json(const std::vector<ComparisonRow>& rows) {
  Json list = Json::array();
  for (const ComparisonRow& row : rows) {
    if (!row.is_original) list.push_back(row_json(row));
  }
  return list.size() == 1 ? list[0] : list;
}

}  // namespace tessera::cli
