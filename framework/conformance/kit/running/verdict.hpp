// SPDX-License-Identifier: Apache-2.0
//
// How a case of the kit ended, and what was found.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tessera::conformance {

enum class Verdict {
  kPass,
  kFail,
  kCrash,
  kHang,
  kUnsupported,      // the plugin claims nothing of the kind
  kExpectedFailure,  // fails, as the plugin's declaration says
  kUnexpectedPass,   // declared to fail, but passes: an error
};
inline constexpr size_t kNumVerdicts = 7;

// "pass", "expected_failure".
std::string verdict_name(Verdict verdict);

// True for what makes a plugin fail.
bool is_failure(Verdict verdict);

// A number that a case measured: "replay_ns".
struct Figure {
  std::string name;
  double value = 0.0;
};

struct CaseResult {
  std::string id;  // begins with "L<level>/"
  Verdict verdict = Verdict::kPass;
  std::string reason;  // empty if it passed
  double seconds = 0.0;
  std::vector<Figure> figures;  // level 3

  // 0 .. 4
  uint32_t level() const;
};

}  // namespace tessera::conformance
