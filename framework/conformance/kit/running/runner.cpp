// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/running/runner.hpp"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <list>
#include <map>
#include <numeric>
#include <utility>

#include "framework/conformance/kit/running/budget.hpp"
#include "framework/conformance/kit/running/case_child.hpp"
#include "framework/conformance/kit/running/listing.hpp"
#include "framework/conformance/kit/running/session.hpp"
#include "framework/host/trust/sha256.hpp"

namespace tessera::conformance {
namespace {

class KitRun {
 public:
  explicit KitRun(const KitOptions& options) {
    report_.options = options;
    report_.library = options.library;
  }

  Result<KitReport> run() {
    TSR_RETURN_IF_ERROR(list());
    put_in_order();
    TSR_RETURN_IF_ERROR(run_cases());
    check_library_unchanged();
    sort_results();
    report_.seconds = seconds_spent();
    return std::move(report_);
  }

  Result<std::vector<std::string>> ids() {
    TSR_RETURN_IF_ERROR(list());
    if (is_failure(listing_.load.verdict)) {
      return Status(TSR_FAILED_PRECONDITION,
                    report_.library + ": " + listing_.load.reason);
    }
    std::vector<std::string> ids;
    ids.reserve(cases_.size());
    for (const Case& one : cases_) ids.push_back(one.id);
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

  // Makes the cases that are selected; a library that cannot even be listed is
  // one failed case.
  Status list() {
    KitOptions& options = report_.options;
    TSR_ASSIGN_OR_RETURN(listing_, list_library(options));
    report_.plugin = listing_.plugin;
    report_.version = listing_.version;
    report_.build_id = listing_.build_id;
    report_.subject = listing_.subject;
    const bool loaded = listing_.load.verdict == Verdict::kPass;
    if (!loaded || matches(options.filter, listing_.load.id)) {
      add(listing_.load);
    }
    if (!loaded) return {};
    options.cases.has_fixed_pipe = listing_.has_fixed_pipe;
    claim_ = Claim(listing_.facts->kernels);
    cases_ = generate_cases(claim_, options.max_level, options.cases);
    cases_.erase(std::remove_if(cases_.begin(), cases_.end(),
                                [&](const Case& one) {
                                  return !matches(options.filter, one.id);
                                }),
                 cases_.end());
    return {};
  }

  void put_in_order() {
    if (report_.options.budget_seconds > 0.0) {
      order_ = order_by_need(cases_, report_.options.cases.seed);
      return;
    }
    order_.indexes.resize(cases_.size());
    std::iota(order_.indexes.begin(), order_.indexes.end(), size_t{0});
  }

  // No case from `next` on, in the order of running, is begun.
  bool is_done(size_t next) const {
    if (next >= order_.indexes.size()) return true;
    const double budget = report_.options.budget_seconds;
    const bool is_late = budget > 0.0 && next >= order_.num_essential &&
                         seconds_spent() >= budget;
    return is_late || has_enough_failures();
  }

  // Those that run when enough have failed come to their end: so the first
  // failure of the list is among the results, however many run at once.
  Status run_cases() {
    const size_t num_jobs = std::max<size_t>(report_.options.num_jobs, 1);
    std::list<CaseChild> running;
    size_t next = 0;
    for (;;) {
      while (running.size() < num_jobs && !is_done(next)) {
        TSR_ASSIGN_OR_RETURN(
            CaseChild child,
            CaseChild::start(report_.options, report_.subject.sha256,
                             cases_[order_.indexes[next++]]));
        running.push_back(std::move(child));
      }
      if (running.empty()) break;
      wait_for(running);
      running.remove_if([this](CaseChild& child) {
        const bool ended = child.has_ended();
        if (ended) add(child.result());
        return ended;
      });
    }
    if (!has_enough_failures()) {
      report_.left_out = order_.indexes.size() - next;
    }
    return {};
  }

  // Each case loads the file anew: all must have had the same.
  void check_library_unchanged() {
    const std::string& before = report_.subject.sha256;
    if (before.empty()) return;
    const FileDescriptor file(
        open(report_.library.c_str(), O_RDONLY | O_CLOEXEC));
    const Result<std::string> now = sha256_of_file(file.get());
    if (now.ok() && *now == before) return;
    add({"L0/unchanged",
         Verdict::kFail,
         "another file lies there than when the run began",
         0.0,
         {}});
  }

  static void wait_for(const std::list<CaseChild>& running) {
    std::vector<const KitChild*> children;
    double seconds = std::numeric_limits<double>::infinity();
    for (const CaseChild& child : running) {
      children.push_back(&child.child());
      seconds = std::min(seconds, child.seconds_left());
    }
    KitChild::wait_for_any(children, seconds);
  }

  // Back into the order of the list; what was not in it comes first.
  void sort_results() {
    std::map<std::string, size_t> places;
    for (size_t i = 0; i < cases_.size(); ++i) places[cases_[i].id] = i + 1;
    std::stable_sort(report_.results.begin(), report_.results.end(),
                     [&](const CaseResult& a, const CaseResult& b) {
                       return places[a.id] < places[b.id];
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

  const std::chrono::steady_clock::time_point begin_ =
      std::chrono::steady_clock::now();
  KitReport report_;
  Listing listing_;
  Claim claim_{{}};  // points into the listing, as cases do into it
  CaseList cases_;
  RunOrder order_;
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
  TSR_ASSIGN_OR_RETURN(const DeviceFacts facts, session->read_facts());
  CaseOptions case_options = options.cases;
  TSR_ASSIGN_OR_RETURN(case_options.has_fixed_pipe, session->has_fixed_pipe());
  const Claim claim(facts.kernels);
  for (const Case& one :
       generate_cases(claim, options.max_level, case_options)) {
    if (one.id == id) return session->run(one);
  }
  return Status(TSR_NOT_FOUND, "no case " + id + " at this level; " +
                                   "tessera conform --list shows them");
}

}  // namespace tessera::conformance
