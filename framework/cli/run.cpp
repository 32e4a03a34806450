// SPDX-License-Identifier: Apache-2.0
//
// tessera run: prompts go in, text comes out.

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/cli/command.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/figures.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/loaded_model.hpp"
#include "framework/cli/plan/loaded_plan.hpp"
#include "framework/cli/profile.hpp"
#include "framework/cli/prompts.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/runtime/fit_scheme.hpp"
#include "framework/runtime/generator.hpp"

namespace tessera::cli {
namespace {

constexpr uint32_t kMaxStepTokens = 512;
constexpr uint32_t kMaxBatch = 64;

struct RunOptions {
  TargetOptions target;
  std::string plan;  // a file; empty: the target's device and scheme
  PromptOptions prompts;
  SamplingOptions sampling;
  uint32_t tokens = 64;
  uint32_t context = 0;  // 0: what prompts and tokens need
  bool profile = false;
  bool json = false;
};

// Everything a run needs, put together once.
struct Run {
  LoadedModel loaded;
  Scheme scheme;
  std::vector<std::string> texts;
  std::vector<Request> requests;
  std::optional<LoadedPlan> plan;
  std::shared_ptr<Device> device;  // with a plan, one of its devices
  std::string device_name;         // of all that take part
  std::unique_ptr<Session> session;
};

struct Outcome {
  GenerationResult result;
  std::vector<KernelTotal> kernels;
};

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

// The longest sequence that a request can become, as far as the model goes.
Result<uint32_t> choose_context(const RunOptions& options,
                                const ModelConfig& config) {
  if (options.context <= config.max_positions) {
    return options.context == 0 ? config.max_positions : options.context;
  }
  return Status(TSR_INVALID_ARGUMENT,
                fmt::format("--context {}: the model goes up to {}",
                            options.context, config.max_positions));
}

Result<std::vector<Request>> make_requests(const RunOptions& options,
                                           const Run& run, uint32_t context) {
  TSR_ASSIGN_OR_RETURN(auto prompts,
                       encode_prompts(*run.loaded.model, run.texts,
                                      options.prompts.chat, context));
  std::vector<Request> requests;
  for (std::vector<int32_t>& prompt : prompts) {
    requests.push_back({std::move(prompt), options.tokens, options.sampling});
  }
  return requests;
}

bool is_simulated(const Run& run) {
  if (run.plan) return run.plan->is_simulated();
  return run.device->info().clock == TSR_CLOCK_SIMULATED;
}

SessionOptions session_options(const RunOptions& options, const Run& run,
                               uint32_t context) {
  uint64_t longest = 0;
  uint64_t total = 0;
  for (const Request& request : run.requests) {
    longest = std::max<uint64_t>(longest, request.prompt.size());
    total += request.prompt.size();
  }
  SessionOptions session;
  session.max_seqs =
      static_cast<uint32_t>(std::min<size_t>(run.requests.size(), kMaxBatch));
  session.max_outputs = session.max_seqs;
  session.max_tokens = static_cast<uint32_t>(std::max<uint64_t>(
      std::min<uint64_t>(total, kMaxStepTokens), session.max_seqs));
  session.max_context = options.context != 0
                            ? context
                            : static_cast<uint32_t>(std::min<uint64_t>(
                                  context, longest + options.tokens));
  session.profile = options.profile || is_simulated(run) ||
                    (run.plan && run.plan->has_simulated());
  return session;
}

// The session of --plan, or of the target's device and scheme.
Status open_run(const RunOptions& options, uint32_t context, Run& run) {
  if (!options.plan.empty()) {
    TSR_ASSIGN_OR_RETURN(
        run.plan, load_plan(options.plan, run.loaded, options.target.threads,
                            options.target.isolate));
    run.device = run.plan->devices.begin()->second;
    run.device_name = run.plan->device_names();
    run.scheme = run.plan->base;
    run.scheme.name = "plan";
    TSR_ASSIGN_OR_RETURN(
        run.session, open_plan_session(run.loaded, *run.plan,
                                       session_options(options, run, context)));
    return {};
  }
  TSR_ASSIGN_OR_RETURN(run.device, open_device(options.target));
  run.device_name = run.device->name();
  run.scheme = with_kv(fit_scheme(std::move(run.scheme), *run.device),
                       options.target.kv);
  TSR_ASSIGN_OR_RETURN(run.session,
                       open_session(run.loaded, run.device, run.scheme,
                                    session_options(options, run, context)));
  return {};
}

Result<Run> prepare(const RunOptions& options) {
  Run run;
  TSR_ASSIGN_OR_RETURN(run.texts, read_prompts(options.prompts));
  TSR_ASSIGN_OR_RETURN(run.loaded, load_model(options.target.model));
  const Model& model = *run.loaded.model;
  TSR_ASSIGN_OR_RETURN(run.scheme, choose_scheme(model, options.target.scheme));
  TSR_ASSIGN_OR_RETURN(const uint32_t context,
                       choose_context(options, model.config));
  TSR_ASSIGN_OR_RETURN(run.requests, make_requests(options, run, context));
  TSR_RETURN_IF_ERROR(open_run(options, context, run));
  return run;
}

Result<Outcome> generate_text(const RunOptions& options, Run& run) {
  const Model& model = *run.loaded.model;
  TextStream stream(model.tokenizer);
  TokenCallback on_token;
  const bool streams = run.requests.size() == 1 && !options.json;
  if (streams) {
    on_token = [&stream](size_t /*request*/, int32_t token) {
      write_out(stream.push(token));
      return flush_out().ok();
    };
  }
  Result<GenerationResult> result =
      generate(*run.session, run.requests, model.config.eos_ids, on_token);
  if (streams) write_out(stream.flush() + "\n");
  if (!result.ok()) return std::move(result).status();
  Outcome outcome;
  outcome.result = std::move(*result);
  if (options.profile) {
    TSR_ASSIGN_OR_RETURN(const auto records, run.session->take_profile());
    outcome.kernels = sum_kernels(records);
  }
  return outcome;
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

void print_batch(const Run& run, const GenerationResult& result) {
  for (size_t i = 0; i < result.generations.size(); ++i) {
    const Generation& generation = result.generations[i];
    write_out(
        fmt::format("{}[{}] {}\n{}\n", i == 0 ? "" : "\n", i + 1, run.texts[i],
                    run.loaded.model->tokenizer.decode(generation.tokens)));
  }
}

Status run_run(const RunOptions& options) {
  TSR_ASSIGN_OR_RETURN(Run run, prepare(options));
  TSR_ASSIGN_OR_RETURN(const Outcome outcome, generate_text(options, run));
  if (options.json) {
    print_json(run_json(options, run, outcome));
    return {};
  }
  if (run.requests.size() > 1) print_batch(run, outcome.result);
  TSR_RETURN_IF_ERROR(flush_out());
  write_err(summary_text(run, outcome.result));
  if (options.profile) write_err(profile_text(run, outcome));
  return {};
}

void add_prompt_options(CLI::App& app, PromptOptions& options) {
  app.add_option("-p,--prompt", options.texts,
                 "Text to continue; - reads stdin; several make a batch")
      ->allow_extra_args(false)
      ->check([](const std::string& text) {
        return text.empty() ? "the prompt is empty" : std::string();
      })
      ->type_name("TEXT");
  app.add_option("-f,--file", options.files, "File with a text to continue")
      ->allow_extra_args(false)
      ->type_name("FILE");
  app.add_flag("--chat", options.chat,
               "Put each prompt into the model's chat template");
}

void add_sampling_options(CLI::App& app, SamplingOptions& options) {
  CLI::Option* temperature =
      app.add_option("--temperature", options.temperature,
                     "Sample at this temperature; left out, or 0: greedy")
          ->check(not_negative_validator())
          ->type_name("T");
  app.add_option("--top-k", options.top_k, "Keep the k most likely tokens")
      ->check(count_validator(1))
      ->needs(temperature)
      ->type_name("K");
  app.add_option("--top-p", options.top_p,
                 "Keep the fewest tokens whose probabilities reach p")
      ->check(share_validator())
      ->needs(temperature)
      ->type_name("P");
  app.add_option("--seed", options.seed, "Seed of the sampler")
      ->needs(temperature)
      ->type_name("N");
}

}  // namespace

Command add_run_command(CLI::App& tessera) {
  CLI::App* app =
      tessera.add_subcommand("run", "Continue prompts with new text");
  auto options = std::make_shared<RunOptions>();
  add_target_options(*app, options->target);
  add_plan_option(*app, options->plan);
  add_prompt_options(*app, options->prompts);
  app->add_option("-n,--tokens", options->tokens,
                  "New tokens per prompt, at most")
      ->check(count_validator(1))
      ->type_name("N")
      ->capture_default_str();
  app->add_option("--context", options->context,
                  "Tokens that a sequence may have; left out: what it needs")
      ->check(count_validator(1))
      ->type_name("N");
  add_sampling_options(*app, options->sampling);
  app->add_flag("--profile", options->profile,
                "Show where the time went: kernels, and the host's own cost");
  add_json_option(*app, options->json);
  app->footer(
      "Examples:\n"
      "  tessera run -p \"library for\" -n 40\n"
      "  tessera run path/to/model --scheme w8a16 --chat -p \"Who are you?\"");
  // An exception is how CLI11 hears of wrong use.
  app->parse_complete_callback([options] {
    if (options->prompts.texts.empty() && options->prompts.files.empty()) {
      throw CLI::RequiredError("-p TEXT or -f FILE");
    }
  });
  return {app, [options] { return run_run(*options); }};
}

}  // namespace tessera::cli
