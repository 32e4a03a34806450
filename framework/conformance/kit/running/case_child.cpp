// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/running/case_child.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <sstream>
#include <utility>

#include "framework/conformance/kit/running/session.hpp"

namespace tessera::conformance {
namespace {

// In the child.
void run_case(const KitOptions& options, const std::string& sha256,
              const Case& one, const LineWriter& write) {
  const Result<std::unique_ptr<KitSession>> session =
      KitSession::open(options, sha256);
  if (!session.ok()) {
    write("refused " + session.status().message());
    return;
  }
  write("begin");
  const CaseResult result = (*session)->run(one);
  for (const Figure& figure : result.figures) {
    write(fmt::format("figure {} {}", figure.name, figure.value));
  }
  write(fmt::format("done {} {} {}", static_cast<int>(result.verdict),
                    result.seconds * 1000.0, result.reason));
}

// "VERDICT MILLISECONDS REASON" after "done".
void read_result(const std::string& text, CaseResult& result) {
  std::istringstream in(text);
  int verdict = 0;
  double milliseconds = 0.0;
  in >> verdict >> milliseconds;
  in.get();
  std::getline(in, result.reason);
  result.verdict = static_cast<Verdict>(verdict);
  result.seconds = milliseconds / 1000.0;
}

// "NAME VALUE" after "figure".
Figure parse_figure(const std::string& text) {
  const size_t space = text.rfind(' ');
  if (space == std::string::npos) return {text, 0.0};
  return {text.substr(0, space),
          std::strtod(text.c_str() + space + 1, nullptr)};
}

}  // namespace

Result<CaseChild> CaseChild::start(const KitOptions& options,
                                   const std::string& sha256, const Case& one) {
  TSR_ASSIGN_OR_RETURN(KitChild child,
                       KitChild::start([&](const LineWriter& write) {
                         run_case(options, sha256, one, write);
                       }));
  return CaseChild(std::move(child), one, options.patience);
}

CaseChild::CaseChild(KitChild child, const Case& one, double patience)
    : child_(std::move(child)), case_seconds_(one.limit_seconds * patience) {
  result_.id = one.id;
}

double CaseChild::seconds_left() const {
  const std::chrono::duration<double> spent = Clock::now() - last_line_;
  return limit_seconds_ - spent.count();
}

bool CaseChild::has_ended() {
  std::string line;
  for (;;) {
    const KitChild::Read found = child_.try_line(line);
    if (found == KitChild::Read::kLine) {
      if (take(line)) return true;
      continue;
    }
    if (found == KitChild::Read::kNothingYet) {
      if (seconds_left() > 0.0) return false;
      child_.give_up();
    }
    take_loss();
    return true;
  }
}

// True for the last line that matters.
bool CaseChild::take(const std::string& line) {
  last_line_ = Clock::now();
  if (line == "begin") {
    limit_seconds_ = case_seconds_;
    stage_ = Stage::kRunning;
  }
  const std::string refused = value_of(line, "refused");
  if (!refused.empty()) {
    result_.verdict = Verdict::kFail;
    result_.reason = "refused, though it was loaded before: " + refused;
    return true;
  }
  if (line.rfind("fault", 0) == 0) fault_ = value_of(line, "fault");
  const std::string figure = value_of(line, "figure");
  if (!figure.empty()) result_.figures.push_back(parse_figure(figure));
  const std::string done = value_of(line, "done");
  if (!done.empty()) {
    read_result(done, result_);
    stage_ = Stage::kClosing;
    // What failed need not close well, too.
    return is_failure(result_.verdict);
  }
  return line == "end" && stage_ == Stage::kClosing;
}

// The child ended before its last line, or was given up.
void CaseChild::take_loss() {
  const char* where = stage_ == Stage::kLoading   ? "loading the library: "
                      : stage_ == Stage::kClosing ? "closing the device: "
                                                  : "";
  const std::string end = child_.finish();
  result_.figures.clear();
  if (child_.is_late()) {
    result_.verdict = Verdict::kHang;
    result_.reason = fmt::format("{}no end after {} s", where, limit_seconds_);
    return;
  }
  result_.verdict = Verdict::kCrash;
  result_.reason = where + (end.empty() ? "ends the process" : end);
  if (!fault_.empty()) result_.reason += ": " + fault_;
}

}  // namespace tessera::conformance
