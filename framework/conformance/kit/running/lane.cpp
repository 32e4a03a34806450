// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/running/lane.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <sstream>
#include <utility>

#include "framework/conformance/kit/running/session.hpp"

namespace tessera::conformance {
namespace {

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

// Runs the cases with these ids in a child.
Result<KitChild> run_in_child(const KitOptions& options,
                              std::vector<std::string> ids) {
  return KitChild::start(
      [&options, ids = std::move(ids)](const LineWriter& write) {
        const auto session = KitSession::open(options);
        if (!session.ok()) return;
        for (const std::string& id : ids) {
          const Case* one = (*session)->find(id);
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

}  // namespace

std::string value_of(const std::string& line, const std::string& key) {
  const bool has = line.rfind(key + " ", 0) == 0;
  return has ? line.substr(key.size() + 1) : "";
}

double Lane::seconds_left() const {
  const std::chrono::duration<double> spent = Clock::now() - last_line_;
  return limit_seconds_ - spent.count();
}

size_t Lane::num_left() const {
  if (next_ >= cases_.size()) return 0;
  return (cases_.size() - next_ + step_ - 1) / step_;
}

Status Lane::start_child() {
  std::vector<std::string> ids;
  ids.reserve(num_left());
  for (size_t i = next_; i < cases_.size(); i += step_) {
    ids.push_back(cases_[i].id);
  }
  TSR_ASSIGN_OR_RETURN(KitChild child, run_in_child(options_, std::move(ids)));
  child_.emplace(std::move(child));
  limit_seconds_ = kLoadSeconds;
  last_line_ = Clock::now();
  fault_.clear();
  figures_.clear();
  return {};
}

Status Lane::advance(const Calls& calls) {
  std::string line;
  while (!calls.is_done(next_)) {
    if (!child_) TSR_RETURN_IF_ERROR(start_child());
    const KitChild::Read found = child_->try_line(line);
    if (found == KitChild::Read::kLine) {
      take(line, calls);
      continue;
    }
    if (found == KitChild::Read::kNothingYet) {
      if (seconds_left() > 0.0) return {};
      child_->give_up();
    }
    TSR_RETURN_IF_ERROR(take_loss(calls));
  }
  child_.reset();
  return {};
}

void Lane::take(const std::string& line, const Calls& calls) {
  last_line_ = Clock::now();
  if (line == "begin") limit_seconds_ = cases_[next_].limit_seconds;
  if (line.rfind("fault", 0) == 0) fault_ = value_of(line, "fault");
  const std::string figure = value_of(line, "figure");
  if (!figure.empty()) figures_.push_back(parse_figure(figure));
  const std::string done = value_of(line, "done");
  if (done.empty()) return;
  CaseResult result = parse_result(done, cases_[next_].id);
  result.figures = std::exchange(figures_, {});
  limit_seconds_ = kLoadSeconds;
  add(std::move(result), calls);
}

void Lane::add(CaseResult result, const Calls& calls) {
  next_ += step_;
  calls.add(std::move(result));
}

// The child ended, or was given up, within the case that is next.
Status Lane::take_loss(const Calls& calls) {
  CaseResult result{
      cases_[next_].id, Verdict::kCrash, child_->finish(), 0.0, {}};
  if (child_->is_late()) {
    result.verdict = Verdict::kHang;
    result.reason =
        fmt::format("no end after {} s", cases_[next_].limit_seconds);
  } else if (!fault_.empty()) {
    result.reason += ": " + fault_;
  }
  child_.reset();
  TSR_RETURN_IF_ERROR(look_again(result));
  add(std::move(result), calls);
  return {};
}

// A case that killed its child may be the victim of those before it: alone, it
// tells.
Status Lane::look_again(CaseResult& result) const {
  if (result.verdict == Verdict::kHang) return {};
  TSR_ASSIGN_OR_RETURN(KitChild child, run_in_child(options_, {result.id}));
  while (const auto line = child.read_line(kLoadSeconds)) {
    const std::string done = value_of(*line, "done");
    if (done.empty()) continue;
    if (parse_result(done, result.id).verdict == Verdict::kPass) {
      result.reason += " (passes alone: a case before it did the damage)";
    }
  }
  return {};
}

}  // namespace tessera::conformance
