// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/conform/conform_model.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>
#include <vector>

#include "framework/cli/plan/loaded_plan.hpp"
#include "framework/cli/plan/plan_inputs.hpp"
#include "framework/conformance/kit/running/child.hpp"
#include "framework/eval/oracle.hpp"
#include "framework/planner/planner.hpp"
#include "framework/tuning/plan/runtime_plan.hpp"

namespace tessera::cli {
namespace {

constexpr double kLimitSeconds = 600.0;
constexpr uint32_t kPrompt = 8;
constexpr uint32_t kGenerated = 24;
// Codes that stand at a rounding edge fall either way, and grow on through the
// layers: more than two summation orders of the oracle show, on so few tokens.
constexpr double kMarginFactor = 8.0;
constexpr double kPreference = 1000.0;

// Lets the planner want the device, whatever it costs.
void prefer(planner::Problem& problem, const std::string& name) {
  const uint32_t device = problem.device_index(name);
  const auto cheapen = [](std::array<std::optional<planner::Cost>, 2>& costs) {
    for (auto& cost : costs) {
      if (cost) cost->ns /= kPreference;
    }
  };
  for (planner::LinearClass& linear : problem.linear_classes) {
    for (planner::Cell& cell : linear.cells) {
      const bool own = std::all_of(
          cell.parts.begin(), cell.parts.end(),
          [&](const planner::Part& part) { return part.device == device; });
      if (own) cheapen(cell.costs);
    }
  }
  for (planner::SegmentClass& segment : problem.segment_classes) {
    for (planner::Site& site : segment.sites) {
      if (site.device == device) cheapen(site.costs);
    }
  }
  for (planner::TransferCurve& transfer : problem.transfers) {
    for (auto& point : transfer.points) point.ns = 0.0;
  }
}

uint32_t layers_on(const planner::PlanFile& file, const std::string& device) {
  return static_cast<uint32_t>(std::count_if(
      file.layers.begin(), file.layers.end(),
      [&](const planner::PlannedLayer& layer) {
        return std::any_of(layer.phases[0].begin(), layer.phases[0].end(),
                           [&](const planner::PlannedPart& part) {
                             return part.device == device;
                           });
      }));
}

uint32_t best_of(std::span<const float> logits) {
  return static_cast<uint32_t>(std::max_element(logits.begin(), logits.end()) -
                               logits.begin());
}

// A prompt, and what the session makes of it.
Result<std::vector<int32_t>> generate(Session& session) {
  std::vector<int32_t> tokens;
  for (uint32_t i = 0; i < kPrompt; ++i) {
    tokens.push_back(static_cast<int32_t>(17 + 31 * i));
  }
  TSR_ASSIGN_OR_RETURN(const uint32_t sequence, session.open_sequence());
  std::vector<int32_t> fed = tokens;
  for (uint32_t i = 0; i < kGenerated; ++i) {
    const Feed feed{sequence, fed,
                    i == 0 ? uint32_t{TSR_PREFILL} : uint32_t{TSR_DECODE}};
    TSR_RETURN_IF_ERROR(session.step(std::span(&feed, 1)));
    fed = {static_cast<int32_t>(best_of(session.logits(0)))};
    tokens.push_back(fed.front());
  }
  return tokens;
}

struct Agreement {
  uint32_t decided = 0;
  uint32_t total = 0;
};

// Holds generated tokens to what two summation orders of the oracle say.
Result<Agreement> compare(const Graph& graph, const Plan& plan,
                          const WeightSource& source,
                          const std::vector<int32_t>& tokens) {
  std::vector<std::vector<float>> logits;
  for (const auto order : {reference::SumOrder::kF32Ascending,
                           reference::SumOrder::kF32Descending}) {
    TSR_ASSIGN_OR_RETURN(const Oracle oracle,
                         Oracle::create(graph, plan, source, {order, {}}));
    TSR_ASSIGN_OR_RETURN(
        std::vector<float> made,
        oracle.logits(std::span(tokens).first(tokens.size() - 1), TSR_PREFILL));
    logits.push_back(std::move(made));
  }
  const size_t vocab = logits[0].size() / (tokens.size() - 1);
  Agreement agreement;
  for (size_t at = kPrompt - 1; at + 1 < tokens.size(); ++at) {
    const std::span row = std::span(logits[0]).subspan(at * vocab, vocab);
    double noise = 0.0;
    for (size_t i = 0; i < vocab; ++i) {
      noise = std::max(noise,
                       std::fabs(double{row[i]} - logits[1][at * vocab + i]));
    }
    const uint32_t best = best_of(row);
    const auto got = static_cast<size_t>(tokens[at + 1]);
    const double margin = double{row[best]} - row[got];
    ++agreement.total;
    if (got == best) {
      ++agreement.decided;
      continue;
    }
    if (margin <= kMarginFactor * noise) continue;
    return Status(
        TSR_INTERNAL,
        fmt::format("token {} is {}, the oracle's {} is better by {:.3g}, "
                    "which summation order does not explain ({:.3g})",
                    at + 1, got, best, margin, noise));
  }
  return agreement;
}

struct Placed {
  PlanInputs inputs;
  planner::PlanFile file;
  uint32_t layers = 0;  // on the device
};

Result<Placed> place(const std::string& device, const std::string& scheme,
                     const std::string& base) {
  PlanCommandOptions options;
  options.devices = {"cpu"};
  if (device != "cpu") options.devices.push_back(device);
  options.schemes = {scheme};
  options.base = base;
  options.workload = {kPrompt, kGenerated, 1};
  options.profile_seconds = 5.0;
  options.sensitivity_tokens = 16;
  Placed placed;
  TSR_ASSIGN_OR_RETURN(placed.inputs, make_plan_inputs(options));
  prefer(placed.inputs.problem, device);
  planner::PlanOptions planning;
  planning.contingencies = planning.margins = false;
  TSR_ASSIGN_OR_RETURN(planner::MadePlan made,
                       planner::make_plan(placed.inputs.problem, planning));
  placed.file = std::move(made.file);
  placed.layers = layers_on(placed.file, device);
  return placed;
}

// The first scheme of which the device gets a part: integers, where tokens are
// exact, before floats.
Result<Placed> place_somehow(const std::string& device) {
  const std::pair<const char*, const char*> choices[] = {
      {"w8a8_dynamic", ""}, {"w8a8_dynamic", "f32"}, {"w8a16", "f32"}};
  for (const auto& [scheme, base] : choices) {
    Result<Placed> placed = place(device, scheme, base);
    if (!placed.ok() || placed->layers != 0) return placed;
  }
  return Status(TSR_UNAVAILABLE,
                "the planner finds nothing in the default model for it");
}

// In the child.
Status run_model(const conformance::KitReport& report, std::string* out_note) {
  const std::filesystem::path library =
      std::filesystem::absolute(report.library);
  setenv("TESSERA_PLUGIN_PATH", library.parent_path().c_str(), 1);
  TSR_ASSIGN_OR_RETURN(const Placed placed,
                       place_somehow(report.subject.device));
  const PlanInputs& inputs = placed.inputs;
  const LoadedPlan plan{
      "level 4", placed.file, inputs.base, inputs.devices, {}};
  SessionOptions session_options;
  session_options.max_tokens = kPrompt;
  session_options.max_context = kPrompt + kGenerated;
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session,
                       open_plan_session(*inputs.model, plan, session_options));
  TSR_ASSIGN_OR_RETURN(const std::vector<int32_t> tokens, generate(*session));
  TSR_ASSIGN_OR_RETURN(
      const Plan lowered,
      runtime_plan(placed.file, session->graph(), inputs.base, inputs.devices));
  TSR_ASSIGN_OR_RETURN(
      const Agreement agreement,
      compare(session->graph(), lowered, inputs.model->source, tokens));
  *out_note = fmt::format("layers {}|tokens {}|tokens_of_the_oracle {}",
                          placed.layers, agreement.total, agreement.decided);
  return {};
}

conformance::Verdict verdict_of(const Status& status) {
  if (status.ok()) return conformance::Verdict::kPass;
  return status.code() == TSR_UNAVAILABLE ? conformance::Verdict::kUnsupported
                                          : conformance::Verdict::kFail;
}

void add_figures(const std::string& note, conformance::CaseResult& result) {
  size_t begin = 0;
  while (begin < note.size()) {
    const size_t end = std::min(note.find('|', begin), note.size());
    const size_t space = note.find(' ', begin);
    result.figures.push_back({note.substr(begin, space - begin),
                              std::strtod(note.c_str() + space + 1, nullptr)});
    begin = end + 1;
  }
}

}  // namespace

Result<conformance::CaseResult> check_model(
    const conformance::KitReport& report) {
  TSR_ASSIGN_OR_RETURN(
      conformance::KitChild child,
      conformance::KitChild::start([&](const conformance::LineWriter& write) {
        std::string note;
        const Status status = run_model(report, &note);
        if (!note.empty()) write("note " + note);
        write(fmt::format("done {} {}", static_cast<int>(verdict_of(status)),
                          status.message()));
      }));
  conformance::CaseResult result;
  result.id = kModelCase;
  result.verdict = conformance::Verdict::kCrash;
  while (const auto line = child.read_line(kLimitSeconds)) {
    if (line->rfind("note ", 0) == 0) add_figures(line->substr(5), result);
    if (line->rfind("done ", 0) != 0) continue;
    result.verdict = static_cast<conformance::Verdict>((*line)[5] - '0');
    result.reason = line->size() > 7 ? line->substr(7) : "";
  }
  const std::string end = child.finish();
  if (child.is_late()) result.verdict = conformance::Verdict::kHang;
  if (result.verdict == conformance::Verdict::kCrash) result.reason = end;
  return result;
}

}  // namespace tessera::cli
