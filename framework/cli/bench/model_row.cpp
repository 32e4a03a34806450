// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/bench/model_row.hpp"

#include <numeric>
#include <string>

#include "framework/bench/statistics/median_interval.hpp"

namespace tessera::cli {
namespace {

bench::MedianInterval interval_of(const std::vector<double>& times,
                                  double machine_wander) {
  const double run_ns = std::accumulate(times.begin(), times.end(), 0.0);
  return bench::median_interval(times, machine_wander, run_ns);
}

// `name` and `name`_ci95 of tokens per second, from times.
void add_rate(Json& row, const std::string& name, double tokens,
              const std::vector<double>& times, double machine_wander) {
  const bench::MedianInterval found = interval_of(times, machine_wander);
  if (found.low <= 0.0) return;
  row[name] = 1e9 * tokens / found.median;
  row[name + "_ci95"] = {1e9 * tokens / found.high, 1e9 * tokens / found.low};
}

Json shares_json(const std::vector<bench::TimeShare>& shares) {
  Json list = Json::array();
  for (const bench::TimeShare& share : shares) {
    list.push_back({{"name", share.name},
                    {"prefill_ns", share.prefill_ns},
                    {"decode_ns", share.decode_ns}});
  }
  return list;
}

}  // namespace

Json row_head(const Setting& setting, const bench::ModelLoad& load) {
  Json row;
  row["device"] =
      setting.plan ? setting.plan->device_names() : setting.device->name();
  row["scheme"] = setting.plan ? Json() : Json(setting.scheme.name);
  row["plan"] = setting.plan ? Json(setting.plan->path) : Json();
  row["batch"] = load.batch;
  row["context"] = load.context;
  row["tokens"] = load.tokens;
  row["clock"] = setting.is_simulated() ? "simulated" : "wall";
  row["reason"] = "";
  for (const char* key :
       {"prefill_tokens_per_s", "decode_tokens_per_s", "first_token_ns",
        "step_ns", "memory", "breakdown", "decode_limit"}) {
    row[key] = nullptr;
  }
  return row;
}

void add_samples(const std::vector<bench::ModelSample>& samples,
                 const bench::ModelLoad& load, double machine_wander,
                 Json& row) {
  std::vector<double> prefill;
  std::vector<double> first;
  std::vector<double> decode;
  std::vector<double> steps;
  for (const bench::ModelSample& sample : samples) {
    prefill.push_back(sample.prefill_ns);
    first.push_back(sample.first_token_ns);
    double sum = 0.0;
    for (const double ns : sample.step_ns) sum += ns;
    decode.push_back(sum);
    steps.insert(steps.end(), sample.step_ns.begin(), sample.step_ns.end());
  }
  const double batch = load.batch;
  add_rate(row, "prefill_tokens_per_s", batch * load.context, prefill,
           machine_wander);
  add_rate(row, "decode_tokens_per_s", batch * load.tokens, decode,
           machine_wander);
  const bench::MedianInterval token = interval_of(first, machine_wander);
  row["first_token_ns"] = token.median;
  row["first_token_ns_ci95"] = {token.low, token.high};
  row["step_ns"] = {{"p50", bench::quantile_of(steps, 0.5)},
                    {"p90", bench::quantile_of(steps, 0.9)},
                    {"p99", bench::quantile_of(steps, 0.99)},
                    {"max", bench::quantile_of(steps, 1.0)}};
  row["wander"] = machine_wander;
  row["samples"] = {{"prefill_ns", prefill}, {"decode_ns", decode}};
}

void add_decode_limit(const std::vector<bench::ModelSample>& samples,
                      const StepReads& reads, Json& row) {
  std::vector<double> steps;  // mean of each sample's
  steps.reserve(samples.size());
  for (const bench::ModelSample& sample : samples) {
    steps.push_back(
        std::accumulate(sample.step_ns.begin(), sample.step_ns.end(), 0.0) /
        static_cast<double>(sample.step_ns.size()));
  }
  const double achieved = reads.bytes / bench::quantile_of(steps, 0.5);
  row["decode_limit"] = {
      {"bytes", reads.bytes},
      {"per_ns", reads.best.per_ns},
      {"how", reads.best.how},
      {"achieved_per_ns", achieved},
      {"achieved_over_limit", achieved / reads.best.per_ns},
      {"achieved_over_reads", achieved / bench::quantile_of(reads.per_ns, 0.5)},
      {"reads_per_ns", reads.per_ns}};
}

void add_breakdown(const bench::Breakdown& found, Json& row) {
  row["breakdown"] = {{"ops", shares_json(found.ops)},
                      {"layers", shares_json(found.layers)}};
}

}  // namespace tessera::cli
