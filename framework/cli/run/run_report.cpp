// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/run/run_report.hpp"

#include <fmt/format.h>

#include <utility>

#include "framework/cli/figures.hpp"

namespace tessera::cli {
namespace {

const char* reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEos:
      return "eos";
    case FinishReason::kContext:
      return "context";
    default:
      return "length";
  }
}

// On the device's clock.
double prefill_rate(const Run& run, const GenerationResult& result) {
  return per_second(result.prompt_tokens, is_simulated(run)
                                              ? result.prefill_simulated_ns
                                              : result.prefill_ns);
}

double decode_rate(const Run& run, const GenerationResult& result) {
  return per_second(result.decode_tokens, is_simulated(run)
                                              ? result.decode_simulated_ns
                                              : result.decode_ns);
}

double mean_host_ns(const GenerationResult& result) {
  return result.decode_steps == 0
             ? 0.0
             : static_cast<double>(result.decode_host_ns) /
                   static_cast<double>(result.decode_steps);
}

Json generations_json(const Run& run, const GenerationResult& result) {
  Json list = Json::array();
  for (size_t i = 0; i < result.generations.size(); ++i) {
    const Generation& generation = result.generations[i];
    list.push_back(
        {{"prompt", run.texts[i]},
         {"prompt_tokens", run.requests[i].prompt.size()},
         {"prompt_token_ids", run.requests[i].prompt},
         {"text", run.loaded.model->tokenizer.decode(generation.tokens)},
         {"token_ids", generation.tokens},
         {"finish_reason", reason_name(generation.reason)}});
  }
  return list;
}

Json memory_json(const Session::Memory& memory) {
  return {{"weight_bytes", memory.weight_bytes},
          {"kv_bytes", memory.kv_bytes},
          {"workspace_bytes", memory.workspace_bytes}};
}

// Changes of plan, in their order.
Json switches_json(const Run& run) {
  Json list = Json::array();
  for (const PlanSwitch& change : run.contingencies->switches()) {
    list.push_back({{"step", change.step},
                    {"lost", change.lost},
                    {"reason", change.reason},
                    {"device", change.devices}});
  }
  return list;
}

}  // namespace

bool is_simulated(const Run& run) {
  if (run.plan) return run.plan->is_simulated();
  return run.device->info().clock == TSR_CLOCK_SIMULATED;
}

Json run_json(const RunOptions& options, const Run& run,
              const Outcome& outcome) {
  const GenerationResult& result = outcome.result;
  Json generations = generations_json(run, result);
  Json report;
  report["text"] = generations[0]["text"];
  report["token_ids"] = generations[0]["token_ids"];
  report["prefill_tokens_per_s"] = prefill_rate(run, result);
  report["decode_tokens_per_s"] = decode_rate(run, result);
  report["clock"] =
      clock_name(is_simulated(run) ? TSR_CLOCK_SIMULATED : TSR_CLOCK_WALL);
  report["host_ns_per_step"] = result.median_step_host_ns;
  report["host_ns_per_step_mean"] = mean_host_ns(result);
  report["device"] = run.device_name;
  report["plan"] = options.plan.empty() ? Json() : Json(options.plan);
  // Never part of the times above, unless every device is simulated.
  report["prefill_simulated_ns"] = result.prefill_simulated_ns;
  report["decode_simulated_ns"] = result.decode_simulated_ns;
  report["scheme"] = run.scheme.name;
  report["finish_reason"] = generations[0]["finish_reason"];
  report["prompt_tokens"] = result.prompt_tokens;
  report["new_tokens"] = result.new_tokens;
  report["decode_steps"] = result.decode_steps;
  report["programs_per_step"] = run.session->num_programs();
  report["host_budget_ns"] = host_budget_ns(run.session->num_programs());
  report["isolated"] = run.device->plugin().is_isolated();
  report["memory"] = memory_json(run.session->memory());
  report["switches"] = switches_json(run);
  report["switch_ns"] = result.switch_ns;
  report["generations"] = std::move(generations);
  if (options.profile) report["kernels"] = kernels_json(outcome.kernels);
  return report;
}

std::string summary_text(const Run& run, const GenerationResult& result) {
  const Session::Memory& memory = run.session->memory();
  std::string text =
      fmt::format("{} {}: {} prompt tokens at {}, {} new", run.device_name,
                  run.scheme.name, result.prompt_tokens,
                  rate_text(prefill_rate(run, result)), result.new_tokens);
  if (result.decode_tokens > 0) {
    text += " at " + rate_text(decode_rate(run, result));
  }
  if (is_simulated(run)) text += " (simulated clock)";
  if (run.requests.size() == 1) {
    text +=
        fmt::format(", ended by {}", reason_name(result.generations[0].reason));
  }
  return text + fmt::format("; weights {}, KV {}, workspace {}\n",
                            bytes_text(memory.weight_bytes),
                            bytes_text(memory.kv_bytes),
                            bytes_text(memory.workspace_bytes));
}

std::string profile_text(const Run& run, const Outcome& outcome) {
  const uint32_t programs = run.session->num_programs();
  return fmt::format(
      "\n{}\nhost {} per decode step (median of {}, mean {}) of {} program{}; "
      "budget {}\n",
      kernels_text(outcome.kernels),
      duration_text(static_cast<double>(outcome.result.median_step_host_ns)),
      outcome.result.decode_steps, duration_text(mean_host_ns(outcome.result)),
      programs, programs == 1 ? "" : "s",
      duration_text(static_cast<double>(host_budget_ns(programs))));
}

std::string batch_text(const Run& run, const GenerationResult& result) {
  std::string text;
  for (size_t i = 0; i < result.generations.size(); ++i) {
    const Generation& generation = result.generations[i];
    text +=
        fmt::format("{}[{}] {}\n{}\n", i == 0 ? "" : "\n", i + 1, run.texts[i],
                    run.loaded.model->tokenizer.decode(generation.tokens));
  }
  return text;
}

}  // namespace tessera::cli
