// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/running/verdict.hpp"

namespace tessera::conformance {

std::string verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "pass";
    case Verdict::kFail:
      return "fail";
    case Verdict::kCrash:
      return "crash";
    case Verdict::kHang:
      return "hang";
    case Verdict::kUnsupported:
      return "unsupported";
    case Verdict::kExpectedFailure:
      return "expected_failure";
    case Verdict::kUnexpectedPass:
      return "unexpected_pass";
  }
  return "unknown";
}

bool is_failure(Verdict verdict) {
  return verdict == Verdict::kFail || verdict == Verdict::kCrash ||
         verdict == Verdict::kHang || verdict == Verdict::kUnexpectedPass;
}

uint32_t CaseResult::level() const {
  const bool named =
      id.size() > 1 && id[0] == 'L' && id[1] >= '0' && id[1] <= '9';
  return named ? static_cast<uint32_t>(id[1] - '0') : 0;
}

}  // namespace tessera::conformance
