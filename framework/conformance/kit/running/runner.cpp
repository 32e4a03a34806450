// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/running/runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <sstream>
#include <utility>

#include "framework/conformance/kit/running/budget.hpp"
#include "framework/conformance/kit/running/child.hpp"
#include "framework/conformance/kit/running/lane.hpp"
#include "framework/conformance/kit/running/session.hpp"

namespace tessera::conformance {
namespace {

std::string kind_of(const Case& one) {
  if (!one.kind.empty()) return one.kind;
  const size_t second = one.id.find('/') + 1;
  return one.id.substr(second, one.id.find('/', second) - second);
}

// "SECONDS KIND ID" after "case".
ListedCase parse_case(const std::string& text) {
  ListedCase listed;
  std::istringstream in(text);
  in >> listed.limit_seconds >> listed.kind;
  in.get();
  std::getline(in, listed.id);
  return listed;
}

class KitRun {
 public:
  explicit KitRun(const KitOptions& options) {
    report_.options = options;
    report_.library = options.library;
  }

  Result<KitReport> run() {
    TSR_RETURN_IF_ERROR(list());
    for (size_t i = 0; i < listed_.size(); ++i) places_[listed_[i].id] = i;
    if (report_.options.budget_seconds > 0.0) put_in_order();
    TSR_RETURN_IF_ERROR(run_lanes());
    sort_results();
    report_.seconds = seconds_spent();
    return std::move(report_);
  }

  Result<std::vector<std::string>> ids() {
    TSR_RETURN_IF_ERROR(list());
    for (const CaseResult& result : report_.results) {
      if (!is_failure(result.verdict)) continue;
      return Status(TSR_FAILED_PRECONDITION,
                    report_.library + ": " + result.reason);
    }
    std::vector<std::string> ids;
    ids.reserve(listed_.size());
    for (const ListedCase& one : listed_) ids.push_back(one.id);
    return ids;
  }

 private:
  double seconds_spent() const {
    const std::chrono::duration<double> spent =
        std::chrono::steady_clock::now() - begin_;
    return spent.count();
  }

  bool has_enough_failures() const {
    const auto failures = std::count_if(
        report_.results.begin(), report_.results.end(),
        [](const CaseResult& r) { return is_failure(r.verdict); });
    return static_cast<size_t>(failures) >= report_.options.max_failures;
  }

  // No case from `next` on, in the order of running, is begun.
  bool is_done(size_t next) const {
    if (next >= listed_.size()) return true;
    const double budget = report_.options.budget_seconds;
    const bool is_late =
        budget > 0.0 && next >= num_essential_ && seconds_spent() >= budget;
    return is_late || has_enough_failures();
  }

  // Every lane takes each `num_lanes`-th case.
  Status run_lanes() {
    const size_t num_lanes = std::max<size_t>(report_.options.num_lanes, 1);
    std::vector<Lane> lanes;
    for (size_t first = 0; first < num_lanes; ++first) {
      lanes.emplace_back(report_.options, listed_, first, num_lanes);
    }
    const Lane::Calls calls{
        [this](CaseResult result) { add(std::move(result)); },
        [this](size_t next) { return is_done(next); }};
    for (;;) {
      std::vector<const KitChild*> children;
      double seconds = std::numeric_limits<double>::infinity();
      for (Lane& lane : lanes) {
        TSR_RETURN_IF_ERROR(lane.advance(calls));
        if (lane.child() == nullptr) continue;
        children.push_back(lane.child());
        seconds = std::min(seconds, lane.seconds_left());
      }
      if (children.empty()) break;
      KitChild::wait_for_any(children, seconds);
    }
    if (has_enough_failures()) return {};
    for (const Lane& lane : lanes) report_.left_out += lane.num_left();
    return {};
  }

  void put_in_order() {
    const RunOrder order = order_by_need(listed_, report_.options.cases.seed);
    num_essential_ = order.num_essential;
    std::vector<ListedCase> ordered;
    ordered.reserve(listed_.size());
    for (const size_t index : order.indexes) ordered.push_back(listed_[index]);
    listed_ = std::move(ordered);
  }

  // Back into the order of the list; what was not in it comes first.
  void sort_results() {
    const auto place_of = [this](const CaseResult& result) {
      const auto found = places_.find(result.id);
      return found == places_.end() ? 0 : found->second + 1;
    };
    std::stable_sort(report_.results.begin(), report_.results.end(),
                     [&](const CaseResult& a, const CaseResult& b) {
                       return place_of(a) < place_of(b);
                     });
  }

  void add(CaseResult result) {
    for (const DeclaredFailure& declared : report_.options.declared) {
      if (!matches(declared.pattern, result.id)) continue;
      if (result.verdict == Verdict::kPass) {
        result.verdict = Verdict::kUnexpectedPass;
        result.reason = "declared to fail, but passes: " + declared.reason;
      } else if (is_failure(result.verdict)) {
        result.verdict = Verdict::kExpectedFailure;
        result.reason = declared.reason + ": " + result.reason;
      }
      break;
    }
    if (report_.options.progress) report_.options.progress(result);
    report_.results.push_back(std::move(result));
  }

  // Learns the plugin's name and the cases; a library that cannot even be
  // listed is one failed case.
  Status list() {
    const KitOptions& options = report_.options;
    TSR_ASSIGN_OR_RETURN(
        KitChild child, KitChild::start([&](const LineWriter& write) {
          const auto session = KitSession::open(options);
          if (!session.ok()) {
            write("refused " + session.status().message());
            return;
          }
          write("plugin " + (*session)->plugin().name());
          write("version " + (*session)->plugin().version());
          write("build_id " + (*session)->plugin().build_id());
          write("sha256 " + (*session)->plugin().sha256());
          write("device " + (*session)->device().name);
          write("hardware " + std::string((*session)->device().info.name));
          write("driver " + std::string((*session)->device().info.driver));
          for (const Case& one : (*session)->cases()) {
            if (!matches(options.filter, one.id)) continue;
            write(fmt::format("case {} {} {}",
                              one.limit_seconds * options.patience,
                              kind_of(one), one.id));
          }
        }));
    CaseResult load{"L0/load", Verdict::kPass, "", 0.0, {}};
    bool complete = false;
    std::string fault;
    while (const auto line = child.read_line(kLoadSeconds)) {
      if (*line == "end") complete = true;
      if (const std::string text = value_of(*line, "refused"); !text.empty()) {
        load.verdict = Verdict::kFail;
        load.reason = text;
      }
      if (line->rfind("fault", 0) == 0) fault = value_of(*line, "fault");
      read_fact(*line);
    }
    const std::string end = child.finish();
    if (child.is_late()) {
      load.verdict = Verdict::kHang;
      load.reason = "loading, or reading what it claims, does not end";
    } else if (!complete || !end.empty()) {
      load.verdict = Verdict::kCrash;
      load.reason = end + (fault.empty() ? "" : ": " + fault);
    }
    if (load.verdict != Verdict::kPass) listed_.clear();
    if (load.verdict != Verdict::kPass || matches(options.filter, load.id)) {
      add(std::move(load));
    }
    return {};
  }

  void read_fact(const std::string& line) {
    for (const auto& [key, field] :
         {std::pair<const char*, std::string*>{"plugin", &report_.plugin},
          {"version", &report_.version},
          {"build_id", &report_.build_id},
          {"sha256", &report_.subject.sha256},
          {"device", &report_.subject.device},
          {"hardware", &report_.subject.hardware},
          {"driver", &report_.subject.driver}}) {
      const std::string value = value_of(line, key);
      if (!value.empty()) *field = value;
    }
    const std::string listed = value_of(line, "case");
    if (!listed.empty()) listed_.push_back(parse_case(listed));
  }

  const std::chrono::steady_clock::time_point begin_ =
      std::chrono::steady_clock::now();
  KitReport report_;
  std::vector<ListedCase> listed_;  // in the order of running
  size_t num_essential_ = 0;
  std::map<std::string, size_t> places_;  // in the list, by id
};

}  // namespace

Result<KitReport> run_kit(const KitOptions& options) {
  return KitRun(options).run();
}

Result<std::vector<std::string>> list_cases(const KitOptions& options) {
  return KitRun(options).ids();
}

Result<CaseResult> run_case_here(const KitOptions& options,
                                 const std::string& id) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<KitSession> session,
                       KitSession::open(options));
  const Case* one = session->find(id);
  if (one == nullptr) {
    return Status(TSR_NOT_FOUND, "no case " + id + " at this level; " +
                                     "tessera conform --list shows them");
  }
  return session->run(*one);
}

}  // namespace tessera::conformance
