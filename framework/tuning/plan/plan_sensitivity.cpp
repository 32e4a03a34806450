// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/plan_sensitivity.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <numeric>
#include <utility>

#include "framework/format/decode.hpp"
#include "framework/runtime/fit_scheme.hpp"
#include "framework/runtime/session.hpp"
#include "framework/runtime/weight_loader.hpp"

namespace tessera {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t kStepTokens = 64;

// A linear and a scheme to be measured.
struct Question {
  uint32_t weight = 0;
  uint32_t scheme = 0;
  double error = 0.0;  // of the weight, relative
};

class Sensitivity {
 public:
  Sensitivity(const SensitivityInputs& inputs, planner::Problem& problem)
      : inputs_(inputs), base_(fit_scheme(inputs.base, *inputs.device)) {
    for (planner::SegmentModel& segment : problem.segments) {
      for (planner::Linear& linear : segment.linears) {
        linears_[linear.name] = &linear;
      }
    }
    for (uint32_t i = 0; i < inputs.graph.weights.size(); ++i) {
      if (linears_.contains(inputs.graph.weights[i].name)) {
        weights_.push_back(i);
      }
    }
  }

  Result<SensitivityReport> fill() {
    TSR_RETURN_IF_ERROR(keep_reference());
    for (uint32_t s = 0; s < inputs_.schemes.size(); ++s) add_questions(s);
    std::stable_sort(
        questions_.begin(), questions_.end(),
        [](const Question& a, const Question& b) { return a.error > b.error; });
    TSR_RETURN_IF_ERROR(ask());
    for (uint32_t s = 0; s < inputs_.schemes.size(); ++s) {
      TSR_RETURN_IF_ERROR(settle(s));
    }
    return report_;
  }

 private:
  double& kl_of(uint32_t weight, uint32_t scheme) {
    return linears_.at(inputs_.graph.weights[weight].name)->kl[scheme];
  }

  // Calls visit for every position, with the weights that `changed` names in
  // `scheme`.
  Status run(const std::vector<uint32_t>& changed, const Scheme& scheme,
             const PositionVisitor& visit) const {
    Plan plan = uniform_plan(inputs_.graph, inputs_.device->name(), base_);
    plan.weights.assign(inputs_.graph.weights.size(), base_);
    for (const uint32_t weight : changed) plan.weights[weight] = scheme;
    SessionOptions options;
    options.max_context = inputs_.max_context;
    options.max_tokens = options.max_outputs = kStepTokens;
    TSR_ASSIGN_OR_RETURN(
        const std::unique_ptr<Session> session,
        Session::create(inputs_.graph, plan, inputs_.source,
                        {{inputs_.device->name(), inputs_.device}}, options));
    return visit_logits(*session, inputs_.documents, TSR_PREFILL, visit);
  }

  Status keep_reference() {
    return run({}, base_,
               [this](size_t, size_t, std::span<const float> logits) {
                 reference_.emplace_back(logits.begin(), logits.end());
               });
  }

  Result<double> mean_kl(const std::vector<uint32_t>& changed,
                         const Scheme& scheme) const {
    double sum = 0.0;
    size_t count = 0;
    TSR_RETURN_IF_ERROR(run(changed, scheme,
                            [&](size_t, size_t, std::span<const float> logits) {
                              sum += kl_divergence(reference_[count++], logits);
                            }));
    return count == 0 ? 0.0 : std::max(0.0, sum / static_cast<double>(count));
  }

  bool is_base(uint32_t scheme) const {
    return inputs_.schemes[scheme].weight_format == base_.weight_format &&
           inputs_.schemes[scheme].act_quant == base_.act_quant;
  }

  void add_questions(uint32_t scheme) {
    if (is_base(scheme)) return;
    for (const uint32_t weight : weights_) {
      questions_.push_back({weight, scheme, weight_error(weight, scheme)});
    }
  }

  // Of what the scheme's rounding loses, relative to the weight; 1 where that
  // cannot be decoded here.
  double weight_error(uint32_t weight, uint32_t scheme) const {
    const GraphWeight& entry = inputs_.graph.weights[weight];
    const auto decoded = [&](const Scheme& chosen) -> std::vector<float> {
      auto data =
          read_weight(entry, choose_linear(entry, chosen), inputs_.source);
      if (!data.ok()) return {};
      auto values = format::decode_weight(*data);
      return values.ok() ? std::move(*values) : std::vector<float>();
    };
    const std::vector<float> exact = decoded(base_);
    const std::vector<float> rounded = decoded(inputs_.schemes[scheme]);
    if (exact.empty() || exact.size() != rounded.size()) return 1.0;
    double error = 0.0;
    double total = 0.0;
    for (size_t i = 0; i < exact.size(); ++i) {
      const double difference = double{exact[i]} - double{rounded[i]};
      error += difference * difference;
      total += double{exact[i]} * double{exact[i]};
    }
    return total == 0.0 ? 0.0 : error / total;
  }

  // Asks as many as the time suffices for, those of the largest error first.
  Status ask() {
    const Clock::time_point begin = Clock::now();
    for (size_t i = 0; i < questions_.size(); ++i) {
      const double spent =
          std::chrono::duration<double>(Clock::now() - begin).count();
      if (spent > inputs_.seconds) break;
      const Question& question = questions_[i];
      const Result<double> kl =
          mean_kl({question.weight}, inputs_.schemes[question.scheme]);
      // A scheme that this device does not run keeps its share.
      if (kl.ok()) {
        kl_of(question.weight, question.scheme) = *kl;
        asked_[{question.weight, question.scheme}] = true;
        ++report_.measured;
      }
      if (inputs_.on_progress) {
        inputs_.on_progress(static_cast<double>(i + 1) /
                            static_cast<double>(questions_.size()));
      }
    }
    return {};
  }

  // Shares out what the whole model in a scheme loses, and raises sums that
  // fall short of it.
  Status settle(uint32_t scheme) {
    if (is_base(scheme)) return {};
    const Result<double> whole = mean_kl(weights_, inputs_.schemes[scheme]);
    if (!whole.ok()) return {};  // no device here runs it everywhere
    double errors = 0.0;
    for (const Question& question : questions_) {
      if (question.scheme == scheme) errors += question.error;
    }
    double sum = 0.0;
    for (const Question& question : questions_) {
      if (question.scheme != scheme) continue;
      double& kl = kl_of(question.weight, scheme);
      if (!asked_.contains({question.weight, scheme})) {
        kl = errors > 0.0 ? *whole * question.error / errors : 0.0;
        ++report_.shared;
      }
      sum += kl;
    }
    if (sum <= 0.0 || *whole <= sum) return {};
    const double raise = *whole / sum;
    report_.interaction = std::max(report_.interaction, raise);
    for (const uint32_t weight : weights_) kl_of(weight, scheme) *= raise;
    return {};
  }

  const SensitivityInputs& inputs_;
  Scheme base_;
  std::map<std::string, planner::Linear*> linears_;
  std::vector<uint32_t> weights_;
  std::vector<std::vector<float>> reference_;  // by position
  std::vector<Question> questions_;
  std::map<std::pair<uint32_t, uint32_t>, bool> asked_;
  SensitivityReport report_;
};

}  // namespace

Result<SensitivityReport> fill_sensitivity(const SensitivityInputs& inputs,
                                           planner::Problem& problem) {
  return Sensitivity(inputs, problem).fill();
}

}  // namespace tessera
