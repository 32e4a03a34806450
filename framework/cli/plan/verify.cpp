// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/verify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "framework/cli/console.hpp"
#include "framework/cli/eval/eval_texts.hpp"
#include "framework/cli/plan/loaded_plan.hpp"
#include "framework/cli/progress.hpp"

namespace tessera::cli {
namespace {

constexpr int kMaxRepairs = 5;

// What is used of a budget where plans are chosen, for texts differ.
constexpr double kHeadroom = 0.95;

// Upper ends of 95 % intervals on two texts of one length differ by less in 99
// of 100 cases, in widths from the mean to that end: sqrt(2) * 2.33 / 1.96.
constexpr double kOtherText = 1.68;

// A text with what the f32 model makes of it.
struct Split {
  EvalTexts texts;
  F32Reference reference;
};

Result<std::unique_ptr<Split>> open_split(const PlanCommandOptions& options,
                                          const LoadedModel& model,
                                          const char* name) {
  auto split = std::make_unique<Split>();
  EvalTextOptions text;
  text.text = model.model->folder + "/text/" + name;
  text.limit = options.verify_tokens;
  TSR_ASSIGN_OR_RETURN(split->texts, read_texts(*model.model, text));
  TSR_ASSIGN_OR_RETURN(split->reference, make_f32_reference(model, split->texts,
                                                            options.threads));
  return split;
}

Result<Estimate> measure_phase(const PlanInputs& inputs,
                               const planner::PlanFile& file, uint32_t phase,
                               Split& split) {
  const LoadedPlan plan{"the plan", file, inputs.base, inputs.devices, {}};
  TSR_ASSIGN_OR_RETURN(
      const std::unique_ptr<Session> session,
      open_plan_session(
          *inputs.model, plan,
          eval_session_options(split.texts, phase,
                               inputs.model->model->config.vocab_size)));
  Progress progress("verify");
  TSR_ASSIGN_OR_RETURN(
      const std::vector<DocumentScores> scores,
      score_documents(*session, split.texts.documents, phase,
                      *split.reference.logits,
                      [&progress](double share) { progress.update(share); }));
  return summarize(scores).kl_mean;
}

// Of the worse phase, where phases differ.
Result<Estimate> measure_kl(const PlanInputs& inputs,
                            const planner::PlanFile& file, Split& split) {
  TSR_ASSIGN_OR_RETURN(const Estimate prefill,
                       measure_phase(inputs, file, TSR_PREFILL, split));
  if (!file.split_phases) return prefill;
  TSR_ASSIGN_OR_RETURN(const Estimate decode,
                       measure_phase(inputs, file, TSR_DECODE, split));
  return decode.high > prefill.high ? decode : prefill;
}

// What the upper end may come to on a text that the plan was not chosen on.
double high_elsewhere(const Estimate& kl) {
  return (kl.high + kOtherText * (kl.high - kl.value)) / kHeadroom;
}

// Scores a plan that holds on select, once: another one for the same text would
// be chosen by it.
Result<Estimate> score_on_report(const PlanCommandOptions& options,
                                 const PlanInputs& inputs,
                                 planner::MadePlan& made) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Split> report,
                       open_split(options, *inputs.model, "report.txt"));
  TSR_ASSIGN_OR_RETURN(const Estimate kl,
                       measure_kl(inputs, made.file, *report));
  made.file.kl_limit = options.max_kl;
  made.file.kl_measured = kl.value;
  made.file.kl_measured_ci95 = {kl.low, kl.high};
  return kl;
}

Status missed_on_report(double budget, const Estimate& kl) {
  return {
      TSR_RESOURCE_EXHAUSTED,
      fmt::format("--max-kl {} holds on select.txt, but on report.txt KL is "
                  "{:.3g} [{:.3g}, {:.3g}]; ask for less, or score more "
                  "with --verify-tokens",
                  budget, kl.value, kl.low, kl.high)};
}

}  // namespace

Result<planner::MadePlan> plan_and_verify(const PlanCommandOptions& options,
                                          const planner::PlanOptions& planning,
                                          PlanInputs& inputs) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Split> select,
                       open_split(options, *inputs.model, "select.txt"));
  const double budget = options.max_kl;
  for (int repair = 0; repair <= kMaxRepairs; ++repair) {
    TSR_ASSIGN_OR_RETURN(planner::MadePlan made,
                         planner::make_plan(inputs.problem, planning));
    TSR_ASSIGN_OR_RETURN(const Estimate kl,
                         measure_kl(inputs, made.file, *select));
    write_err(
        fmt::format("select: KL {:.3g} [{:.3g}, {:.3g}], predicted {:.3g}\n",
                    kl.value, kl.low, kl.high, made.file.kl_predicted));
    if (high_elsewhere(kl) <= budget) {
      TSR_ASSIGN_OR_RETURN(const Estimate last,
                           score_on_report(options, inputs, made));
      if (last.high > budget) return missed_on_report(budget, last);
      return made;
    }
    // The dearest linears are raised first, as the solver sees them.
    inputs.problem.limits.kl =
        std::min(*inputs.problem.limits.kl, made.file.kl_predicted) *
        std::clamp(0.95 * budget / high_elsewhere(kl), 0.2, 0.9);
  }
  return Status(
      TSR_RESOURCE_EXHAUSTED,
      fmt::format("--max-kl {}: {} repairs did not bring the "
                  "measured KL below it; the base scheme {} alone may "
                  "cost as much",
                  budget, kMaxRepairs, inputs.base.name));
}

Result<bool> verify_other(const PlanCommandOptions& options,
                          const PlanInputs& inputs, planner::MadePlan& made) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Split> select,
                       open_split(options, *inputs.model, "select.txt"));
  TSR_ASSIGN_OR_RETURN(const Estimate kl,
                       measure_kl(inputs, made.file, *select));
  if (high_elsewhere(kl) > options.max_kl) return false;
  TSR_ASSIGN_OR_RETURN(const Estimate last,
                       score_on_report(options, inputs, made));
  return last.high <= options.max_kl;
}

}  // namespace tessera::cli
