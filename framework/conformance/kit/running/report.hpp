// SPDX-License-Identifier: Apache-2.0
//
// What the kit is asked to run, and what came of it.

#pragma once

#include <functional>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/conformance/kit/case.hpp"
#include "framework/conformance/kit/running/verdict.hpp"
#include "framework/host/trust/certificate.hpp"

namespace tessera::conformance {

// A case that the plugin's author knows to fail, from a file given to the kit.
struct DeclaredFailure {
  std::string pattern;  // of case ids, with * and ?
  std::string reason;
};

struct KitOptions {
  std::string library;
  uint32_t device_index = 0;
  std::vector<std::pair<std::string, std::string>> device_options;
  uint32_t max_level = 2;
  CaseOptions cases;
  std::string filter = "*";  // of case ids
  std::vector<DeclaredFailure> declared;
  // Of the time limits of cases: kernels may be compiled on a busy machine.
  double patience = 4.0;
  // After so long only essential cases are begun (running/budget.hpp); 0: all.
  double budget_seconds = 0.0;
  // Cases that run side by side.  Times of level 3 want 1.
  uint32_t num_jobs = 1;
  bool show_log = false;                            // of the plugin, on stderr
  size_t max_failures = SIZE_MAX;                   // then the rest is left out
  std::function<void(const CaseResult&)> progress;  // may be null
};

struct KitReport {
  std::string plugin;  // its name
  std::string version;
  std::string build_id;
  std::string library;
  CertifiedDevice subject;
  KitOptions options;
  std::vector<CaseResult> results;  // in the order of the cases
  size_t left_out = 0;              // cases for which the budget had no time
  double seconds = 0.0;

  size_t count(Verdict verdict) const;
  size_t count(uint32_t level, Verdict verdict) const;
  bool failed() const;
  // Something was executed, and nothing failed.
  bool passed() const;
  // True if every case of the levels was run on the device as it is opened
  // without options: no filter, none left out.
  bool is_complete() const;
  // What it proves; `issued` is the day, "2026-11-21".
  //
  // Requires  passed() and is_complete()
  Certificate certificate(const std::string& issued) const;
  // The command that runs one case alone, to be debugged.
  std::string rerun_command(const std::string& id) const;
};

// True if `text` matches `pattern`, in which * is any text and ? one character.
bool matches(const std::string& pattern, const std::string& text);

// Lines "expected_failure PATTERN REASON"; # begins a comment.
// Errors: INVALID_ARGUMENT, naming the line.
Result<std::vector<DeclaredFailure>> parse_declarations(
    const std::string& text);

}  // namespace tessera::conformance
