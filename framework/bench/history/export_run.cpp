// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/history/export_run.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <ctime>
#include <numeric>

#include "framework/bench/statistics/median_interval.hpp"

namespace tessera::bench {
namespace {

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string text_at(const Json& row, const char* key) {
  const auto found = row.find(key);
  return found != row.end() && found->is_string() ? found->get<std::string>()
                                                  : std::string();
}

std::string date_text(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  std::array<char, 64> text{};
  if (gmtime_r(&time, &parts) == nullptr) return {};
  return {text.data(), std::strftime(text.data(), text.size(),
                                     "%Y-%m-%dT%H:%M:%S+00:00", &parts)};
}

std::string benchmark_name(const Json& row, const std::string& metric) {
  return metric == "op" ? case_name(row) : case_name(row) + "/" + metric;
}

Json benchmark_head(const std::string& name, size_t family, size_t count) {
  return {{"name", name},
          {"family_index", family},
          {"per_family_instance_index", 0},
          {"run_name", name},
          {"run_type", "iteration"},
          {"repetitions", count},
          {"threads", 1}};
}

void add_times(double ns, Json& entry) {
  entry["real_time"] = ns;
  entry["cpu_time"] = ns;
  entry["time_unit"] = "ns";
}

void add_aggregates(const Json& head, const std::vector<double>& numbers,
                    Json& list) {
  const auto count = static_cast<double>(numbers.size());
  const double mean =
      std::accumulate(numbers.begin(), numbers.end(), 0.0) / count;
  double squares = 0.0;
  for (const double ns : numbers) squares += (ns - mean) * (ns - mean);
  const double stddev =
      numbers.size() < 2 ? 0.0 : std::sqrt(squares / (count - 1.0));
  const std::array<std::pair<const char*, double>, 4> figures = {
      {{"mean", mean},
       {"median", quantile_of(numbers, 0.5)},
       {"stddev", stddev},
       {"cv", mean > 0.0 ? stddev / mean : 0.0}}};
  for (const auto& [name, value] : figures) {
    Json entry = head;
    entry["name"] = text_at(head, "run_name") + "_" + name;
    entry["run_type"] = "aggregate";
    entry["aggregate_name"] = name;
    entry["aggregate_unit"] =
        std::string_view(name) == "cv" ? "percentage" : "time";
    entry["iterations"] = numbers.size();
    add_times(value, entry);
    list.push_back(std::move(entry));
  }
}

}  // namespace

std::string to_csv(const RunRecord& run) {
  std::string text =
      "run,began,machine,commit,kind,device,scheme,metric,sample,ns,case\n";
  const std::string head =
      fmt::format("{},{},{},{},{}", csv_field(run.head.uuid),
                  date_text(run.head.began_s), csv_field(run.head.machine),
                  csv_field(run.head.commit), csv_field(run.head.kind));
  for (const Json& row : run.rows) {
    for (const auto& [metric, numbers] : samples_of(row)) {
      for (size_t i = 0; i < numbers.size(); ++i) {
        text += fmt::format("{},{},{},{},{},{},{}\n", head,
                            csv_field(text_at(row, "device")),
                            csv_field(text_at(row, "scheme")), metric, i,
                            numbers[i], csv_field(case_name(row)));
      }
    }
  }
  return text;
}

Json to_google_benchmark(const RunRecord& run) {
  Json context = {{"date", date_text(run.head.began_s)},
                  {"host_name", run.head.machine},
                  {"executable", "tessera"},
                  {"num_cpus", run.machine.value("cores", Json(0))},
                  {"mhz_per_cpu", 0},
                  {"cpu_scaling_enabled", false},
                  {"caches", Json::array()},
                  {"load_avg", Json::array()},
                  {"library_build_type", "release"},
                  {"tessera_version", run.head.version},
                  {"tessera_commit", run.head.commit},
                  {"tessera_run", run.head.uuid}};
  Json list = Json::array();
  size_t family = 0;
  for (const Json& row : run.rows) {
    for (const auto& [metric, numbers] : samples_of(row)) {
      if (numbers.empty()) continue;
      const Json head =
          benchmark_head(benchmark_name(row, metric), family++, numbers.size());
      for (size_t i = 0; i < numbers.size(); ++i) {
        Json entry = head;
        entry["repetition_index"] = i;
        entry["iterations"] = 1;
        add_times(numbers[i], entry);
        list.push_back(std::move(entry));
      }
      add_aggregates(head, numbers, list);
    }
  }
  return {{"context", std::move(context)}, {"benchmarks", std::move(list)}};
}

}  // namespace tessera::bench
