// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/running/runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "framework/conformance/kit/running/child.hpp"
#include "framework/conformance/kit/running/session.hpp"

namespace tessera::conformance {
namespace {

// For loading a library and asking it for its devices.
constexpr double kLoadSeconds = 60.0;

std::string value_of(const std::string& line, const std::string& key) {
  const bool has = line.rfind(key + " ", 0) == 0;
  return has ? line.substr(key.size() + 1) : "";
}

// What the parent knows of a case.
struct Listed {
  std::string id;
  double limit_seconds;
};

// "N MILLISECONDS VERDICT REASON" after "done".
CaseResult parse_result(const std::string& text, const std::string& id) {
  std::istringstream in(text);
  int verdict = 0;
  double milliseconds = 0.0;
  CaseResult result;
  in >> verdict >> milliseconds;
  in.get();
  std::getline(in, result.reason);
  result.id = id;
  result.verdict = static_cast<Verdict>(verdict);
  result.seconds = milliseconds / 1000.0;
  return result;
}

// "NAME VALUE" after "figure".
Figure parse_figure(const std::string& text) {
  const size_t space = text.rfind(' ');
  if (space == std::string::npos) return {text, 0.0};
  return {text.substr(0, space),
          std::strtod(text.c_str() + space + 1, nullptr)};
}

class KitRun {
 public:
  explicit KitRun(const KitOptions& options) {
    report_.options = options;
    report_.library = options.library;
  }

  Result<KitReport> run() {
    const auto begin = std::chrono::steady_clock::now();
    TSR_RETURN_IF_ERROR(list());
    size_t next = 0;
    while (next < listed_.size() && !is_done()) {
      TSR_RETURN_IF_ERROR(run_from(next));
    }
    const std::chrono::duration<double> spent =
        std::chrono::steady_clock::now() - begin;
    report_.seconds = spent.count();
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
    for (const Listed& one : listed_) ids.push_back(one.id);
    return ids;
  }

 private:
  bool is_done() const {
    const auto failures = std::count_if(
        report_.results.begin(), report_.results.end(),
        [](const CaseResult& r) { return is_failure(r.verdict); });
    return static_cast<size_t>(failures) >= report_.options.max_failures;
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
            write(fmt::format("case {} {}",
                              one.limit_seconds * options.patience, one.id));
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
    if (listed.empty()) return;
    const size_t space = listed.find(' ');
    listed_.push_back({listed.substr(space + 1),
                       std::strtod(listed.substr(0, space).c_str(), nullptr)});
  }

  // Runs cases from `next` on in one child, until it ends or dies.
  Status run_from(size_t& next) {
    TSR_ASSIGN_OR_RETURN(KitChild child, start(next, listed_.size()));
    double limit = kLoadSeconds;
    std::string fault;
    std::vector<Figure> figures;
    while (next < listed_.size() && !is_done()) {
      const auto line = child.read_line(limit);
      if (!line) break;
      if (*line == "begin") limit = listed_[next].limit_seconds;
      if (line->rfind("fault", 0) == 0) fault = value_of(*line, "fault");
      const std::string figure = value_of(*line, "figure");
      if (!figure.empty()) figures.push_back(parse_figure(figure));
      const std::string done = value_of(*line, "done");
      if (done.empty()) continue;
      CaseResult result = parse_result(done, listed_[next].id);
      result.figures = std::exchange(figures, {});
      add(std::move(result));
      ++next;
      limit = kLoadSeconds;
    }
    const std::string end = child.finish();
    if (next >= listed_.size() || is_done()) return {};
    CaseResult result{listed_[next].id, Verdict::kCrash, end, 0.0, {}};
    if (child.is_late()) {
      result.verdict = Verdict::kHang;
      result.reason =
          fmt::format("no end after {} s", listed_[next].limit_seconds);
    } else if (!fault.empty()) {
      result.reason += ": " + fault;
    }
    TSR_RETURN_IF_ERROR(look_again(next, result));
    add(std::move(result));
    ++next;
    return {};
  }

  Result<KitChild> start(size_t begin, size_t end) const {
    return KitChild::start([this, begin, end](const LineWriter& write) {
      const auto session = KitSession::open(report_.options);
      if (!session.ok()) return;
      for (size_t i = begin; i < end; ++i) {
        const Case* one = (*session)->find(listed_[i].id);
        if (one == nullptr) return;
        write("begin");
        const CaseResult result = (*session)->run(*one);
        for (const Figure& figure : result.figures) {
          write(fmt::format("figure {} {}", figure.name, figure.value));
        }
        write(fmt::format("done {} {} {}", static_cast<int>(result.verdict),
                          result.seconds * 1000.0, result.reason));
      }
    });
  }

  // A case that killed its child may be the victim of those before it: alone,
  // it tells.
  Status look_again(size_t index, CaseResult& result) const {
    if (result.verdict == Verdict::kHang) return {};
    TSR_ASSIGN_OR_RETURN(KitChild child, start(index, index + 1));
    while (const auto line = child.read_line(kLoadSeconds)) {
      const std::string done = value_of(*line, "done");
      if (done.empty()) continue;
      if (parse_result(done, result.id).verdict == Verdict::kPass) {
        result.reason += " (passes alone: a case before it did the damage)";
      }
    }
    return {};
  }

  KitReport report_;
  std::vector<Listed> listed_;
};

}  // namespace

size_t KitReport::count(Verdict verdict) const {
  return static_cast<size_t>(
      std::count_if(results.begin(), results.end(),
                    [&](const CaseResult& r) { return r.verdict == verdict; }));
}

size_t KitReport::count(uint32_t level, Verdict verdict) const {
  return static_cast<size_t>(
      std::count_if(results.begin(), results.end(), [&](const CaseResult& r) {
        return r.level() == level && r.verdict == verdict;
      }));
}

bool KitReport::failed() const {
  return std::any_of(results.begin(), results.end(),
                     [](const CaseResult& r) { return is_failure(r.verdict); });
}

bool KitReport::passed() const {
  const bool executed =
      std::any_of(results.begin(), results.end(), [&](const CaseResult& r) {
        return r.verdict == Verdict::kPass &&
               (r.level() > 0 || options.max_level == 0);
      });
  return executed && !failed();
}

bool KitReport::is_complete() const {
  return options.filter == "*" && !options.cases.quick &&
         options.max_failures == SIZE_MAX;
}

Certificate KitReport::certificate(const std::string& issued) const {
  Certificate certificate;
  certificate.subject = subject;
  certificate.plugin = plugin;
  certificate.version = version;
  certificate.issued = issued;
  for (uint32_t level = 0; level <= options.max_level; ++level) {
    CertifiedLevel one;
    one.level = level;
    one.passed = count(level, Verdict::kPass);
    one.unsupported = count(level, Verdict::kUnsupported);
    one.total = static_cast<uint64_t>(std::count_if(
        results.begin(), results.end(),
        [level](const CaseResult& r) { return r.level() == level; }));
    // A level that had nothing to run proves nothing.
    const bool proven =
        one.passed > 0 && (level == 0 || certificate.level + 1 == level);
    if (proven) certificate.level = level;
    certificate.levels.push_back(one);
  }
  for (const CaseResult& result : results) {
    for (const Figure& figure : result.figures) {
      certificate.figures[result.id + "/" + figure.name] = figure.value;
    }
    if (result.verdict != Verdict::kExpectedFailure) continue;
    certificate.known_failures.push_back({result.id, result.reason});
  }
  return certificate;
}

std::string KitReport::rerun_command(const std::string& id) const {
  std::string command = "tessera conform " + library;
  if (options.device_index != 0) {
    command += fmt::format(" --device {}", options.device_index);
  }
  if (options.cases.quick) command += " --quick";
  if (options.cases.seed != CaseOptions{}.seed) {
    command += fmt::format(" --seed {}", options.cases.seed);
  }
  return command + " --case '" + id + "' --in-process";
}

bool matches(const std::string& pattern, const std::string& text) {
  size_t p = 0;
  size_t t = 0;
  size_t star = std::string::npos;
  size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() &&
               (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Result<std::vector<DeclaredFailure>> parse_declarations(
    const std::string& text) {
  std::vector<DeclaredFailure> declared;
  std::istringstream in(text);
  std::string line;
  for (size_t number = 1; std::getline(in, line); ++number) {
    std::istringstream words(line);
    std::string kind;
    DeclaredFailure one;
    if (!(words >> kind) || kind[0] == '#') continue;
    words >> one.pattern >> std::ws;
    std::getline(words, one.reason);
    if (kind != "expected_failure" || one.pattern.empty() ||
        one.reason.empty()) {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("line {}: not \"expected_failure PATTERN "
                                "REASON\"",
                                number));
    }
    declared.push_back(std::move(one));
  }
  return declared;
}

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
