// SPDX-License-Identifier: Apache-2.0
//
// tessera run: prompts go in, text comes out.

#include "framework/cli/run/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/cli/command.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/run/run_report.hpp"
#include "framework/runtime/fit_scheme.hpp"

namespace tessera::cli {
namespace {

constexpr uint32_t kMaxStepTokens = 512;
constexpr uint32_t kMaxBatch = 64;

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

Status make_requests(const RunOptions& options, uint32_t context, Run& run) {
  TSR_ASSIGN_OR_RETURN(
      EncodedPrompts prompts,
      encode_prompts(*run.loaded.model, run.texts, options.prompts, context));
  for (std::vector<int32_t>& prompt : prompts.tokens) {
    run.requests.push_back(
        {std::move(prompt), options.tokens, options.sampling});
  }
  run.eos_ids = std::move(prompts.eos_ids);
  return {};
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
  session.keep_history = true;
  session.profile = options.profile || is_simulated(run) ||
                    (run.plan && run.plan->has_simulated());
  return session;
}

// The session of --plan, or of the target's device and scheme.
Status open_run(const RunOptions& options, uint32_t context, Run& run) {
  run.contingencies =
      std::make_unique<Contingencies>(run.loaded, options.target, run.scheme);
  if (!options.plan.empty()) {
    TSR_ASSIGN_OR_RETURN(
        run.plan, load_plan(options.plan, run.loaded, options.target.threads,
                            options.target.isolate, options.target.isolation));
    run.contingencies->start_with(*run.plan);
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
  run.contingencies->start_on(run.device);
  run.device_name = run.device->name();
  run.scheme = with_kv(fit_scheme(std::move(run.scheme), *run.device),
                       options.target.kv);
  TSR_ASSIGN_OR_RETURN(run.session,
                       open_session(run.loaded, run.device, run.scheme,
                                    session_options(options, run, context)));
  return {};
}

// Stays where it is: its parts refer to each other.
Result<std::unique_ptr<Run>> prepare(const RunOptions& options) {
  auto prepared = std::make_unique<Run>();
  Run& run = *prepared;
  TSR_ASSIGN_OR_RETURN(run.texts, read_prompts(options.prompts));
  TSR_ASSIGN_OR_RETURN(run.loaded, load_model(options.target.model));
  const Model& model = *run.loaded.model;
  TSR_ASSIGN_OR_RETURN(run.scheme, choose_scheme(model, options.target.scheme));
  TSR_ASSIGN_OR_RETURN(const uint32_t context,
                       choose_context(options, model.config));
  TSR_RETURN_IF_ERROR(make_requests(options, context, run));
  TSR_RETURN_IF_ERROR(open_run(options, context, run));
  if (options.switch_at) {
    TSR_RETURN_IF_ERROR(
        run.contingencies->plan_switch_from(options.switch_from));
  }
  return prepared;
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
  Survival survival;
  survival.switch_at = options.switch_at;
  survival.switch_plan = [&run](Session& session, uint64_t step,
                                const Status& failure) {
    return run.contingencies->switch_plan(session, step, failure);
  };
  Result<GenerationResult> result =
      generate(*run.session, run.requests, run.eos_ids, on_token, survival);
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

Status run_run(const RunOptions& options) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<Run> prepared, prepare(options));
  Run& run = *prepared;
  TSR_ASSIGN_OR_RETURN(const Outcome outcome, generate_text(options, run));
  if (options.switch_at && outcome.result.num_steps <= *options.switch_at) {
    write_err(fmt::format("--switch-at {}: the run ended after {} steps\n",
                          *options.switch_at, outcome.result.num_steps));
  }
  if (options.json) {
    return print_json("run", run_json(options, run, outcome));
  }
  if (run.requests.size() > 1) write_out(batch_text(run, outcome.result));
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
  app.add_option("--system", options.system,
                 "With --chat, what the system says; left out: what the "
                 "template says")
      ->needs("--chat")
      ->type_name("TEXT");
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

void add_switch_options(CLI::App& app, RunOptions& options) {
  CLI::Option* at =
      app.add_option("--switch-at", options.switch_at,
                     "After so many steps, go on as if a device were lost: "
                     "with the plan's contingency, or on the cpu")
          ->type_name("STEP");
  app.add_option("--switch-from", options.switch_from,
                 "The device that --switch-at gives up")
      ->needs(at)
      ->type_name("DEVICE");
}

}  // namespace

Command add_run_command(CLI::App& tessera) {
  CLI::App* app =
      tessera.add_subcommand("run", "Continue prompts with new text");
  auto options = std::make_shared<RunOptions>();
  add_target_options(*app, options->target);
  add_plan_option(*app, options->plan);
  add_isolation_options(*app, options->target.isolation);
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
  add_switch_options(*app, *options);
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
