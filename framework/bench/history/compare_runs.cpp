// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/history/compare_runs.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "framework/bench/statistics/compare_samples.hpp"
#include "framework/bench/statistics/median_interval.hpp"

namespace tessera::bench {
namespace {

// What a run says of one case and metric.
struct Case {
  std::string name;
  std::string metric;
  std::string command;
  std::vector<double> samples;
  std::string reason;
  bool is_simulated = false;
};

std::string text_at(const Json& row, const char* key) {
  const auto found = row.find(key);
  return found != row.end() && found->is_string() ? found->get<std::string>()
                                                  : std::string();
}

// Simulated rows keep no samples: their one time is in the row.
std::vector<Samples> times_of(const Json& row) {
  std::vector<Samples> times = samples_of(row);
  const auto median = row.find("median_ns");
  if (times.empty() && median != row.end() && median->is_number()) {
    times.emplace_back("op", std::vector<double>{median->get<double>()});
  }
  return times;
}

using CaseKey = std::pair<std::string, std::string>;  // name, metric

// Rows that measured the same twice are one case with the samples of both.
class CaseList {
 public:
  explicit CaseList(const Json& rows) {
    if (!rows.is_array()) return;
    for (const Json& row : rows) {
      if (!row.is_object() || case_name(row).empty()) continue;
      for (const auto& [metric, samples] : times_of(row)) {
        Case& of = at({case_name(row), metric}, row);
        of.samples.insert(of.samples.end(), samples.begin(), samples.end());
      }
      if (times_of(row).empty()) refusals_[case_name(row)] = row;
    }
  }

  const std::vector<Case>& all() const { return cases_; }

  const Case* find(const CaseKey& key) const {
    const auto found = places_.find(key);
    return found == places_.end() ? nullptr : &cases_[found->second];
  }

  // Why the case has no figures; null if it is not here at all.
  const Json* find_refusal(const std::string& name) const {
    const auto found = refusals_.find(name);
    return found == refusals_.end() ? nullptr : &found->second;
  }

 private:
  Case& at(const CaseKey& key, const Json& row) {
    const auto [place, is_new] = places_.try_emplace(key, cases_.size());
    if (is_new) {
      cases_.push_back({key.first,
                        key.second,
                        text_at(row, "command"),
                        {},
                        "",
                        text_at(row, "clock") == "simulated"});
    }
    return cases_[place->second];
  }

  std::vector<Case> cases_;
  std::map<CaseKey, size_t> places_;
  std::map<std::string, Json> refusals_;
};

// Whether the times differ enough, and in which direction.
Verdict by_size(const CaseChange& change, const CompareOptions& options) {
  if (change.before_fast_ns <= 0.0 || change.before_ns <= 0.0) {
    return Verdict::kSame;
  }
  const double fast = change.after_fast_ns / change.before_fast_ns;
  const double smallest = std::min(change.ratio(), fast);
  const double largest = std::max(change.ratio(), fast);
  if (smallest > 1.0 + options.min_change) return Verdict::kSlower;
  if (largest < 1.0 / (1.0 + options.min_change)) return Verdict::kFaster;
  return Verdict::kSame;
}

// The tested changes of a comparison: where they stand, and what was found.
struct Tests {
  std::vector<size_t> at;
  std::vector<double> p;
  std::vector<double> least;  // that so few samples can give
};

void judge(const Tests& tests, const CompareOptions& options,
           std::vector<CaseChange>& changes) {
  const std::vector<double> adjusted = holm_adjusted(tests.p);
  const auto count = static_cast<double>(tests.p.size());
  for (size_t i = 0; i < tests.at.size(); ++i) {
    CaseChange& change = changes[tests.at[i]];
    change.p = adjusted[i];
    const Verdict found = by_size(change, options);
    if (change.p < options.alpha) {
      change.verdict = found;
    } else if (found != Verdict::kSame &&
               tests.least[i] * count >= options.alpha) {
      change.verdict = Verdict::kUnclear;
    }
  }
}

}  // namespace

const char* verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kSame:
      return "same";
    case Verdict::kFaster:
      return "faster";
    case Verdict::kSlower:
      return "slower";
    case Verdict::kBroken:
      return "broken";
    case Verdict::kUnclear:
      return "unclear";
  }
  return "unknown";
}

Comparison compare_runs(const Json& before, const Json& after,
                        const CompareOptions& options) {
  const CaseList old_cases(before);
  const CaseList new_cases(after);
  Comparison comparison;
  Tests tests;
  for (const Case& old : old_cases.all()) {
    CaseChange change;
    change.name = old.name;
    change.metric = old.metric;
    change.command = old.command;
    change.before_ns = quantile_of(old.samples, 0.5);
    change.before_fast_ns = quantile_of(old.samples, 0.1);
    const Case* const now = new_cases.find({old.name, old.metric});
    if (now != nullptr) {
      change.after_ns = quantile_of(now->samples, 0.5);
      change.after_fast_ns = quantile_of(now->samples, 0.1);
      if (old.is_simulated) {
        change.p = change.after_ns == change.before_ns ? 1.0 : 0.0;
        change.verdict = by_size(change, options);
      } else {
        tests.at.push_back(comparison.changes.size());
        tests.p.push_back(mann_whitney_p(old.samples, now->samples));
        tests.least.push_back(
            least_mann_whitney_p(old.samples.size(), now->samples.size()));
      }
    } else if (const Json* refusal = new_cases.find_refusal(old.name)) {
      change.verdict = Verdict::kBroken;
      change.reason = text_at(*refusal, "reason");
    } else {
      ++comparison.only_before;
      continue;
    }
    comparison.changes.push_back(std::move(change));
  }
  for (const Case& now : new_cases.all()) {
    if (old_cases.find({now.name, now.metric}) == nullptr) {
      ++comparison.only_after;
    }
  }
  judge(tests, options, comparison.changes);
  return comparison;
}

}  // namespace tessera::bench
