// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/running/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <utility>

namespace tessera::conformance {

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
  return options.filter == "*" && !options.cases.quick && left_out == 0 &&
         options.max_failures == SIZE_MAX && options.device_options.empty();
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
  for (const auto& [key, value] : options.device_options) {
    command += fmt::format(" --option {}={}", key, value);
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

}  // namespace tessera::conformance
