// SPDX-License-Identifier: Apache-2.0
//
// tessera serve: a model behind OpenAI's HTTP API.

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>

#include "framework/cli/command.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/interrupt.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/loaded_model.hpp"
#include "framework/cli/plan/loaded_plan.hpp"
#include "framework/cli/serve/server.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/runtime/fit_scheme.hpp"
#include "framework/session/make_engine.hpp"

namespace tessera::cli {
namespace {

struct ServeOptions {
  TargetOptions target;
  std::string plan;
  std::string host = "127.0.0.1";
  uint32_t port = 8080;
  uint32_t context = 4096;
  bool json = false;
};

Result<std::unique_ptr<session::Engine>> open_engine(
    const ServeOptions& options) {
  TSR_ASSIGN_OR_RETURN(LoadedModel model, load_model(options.target.model));
  SessionOptions session_options;
  session_options.max_context =
      std::min(options.context, model.model->config.max_positions);
  session_options.max_tokens =
      std::min(session_options.max_context, session_options.max_tokens);
  std::unique_ptr<Session> session;
  if (!options.plan.empty()) {
    TSR_ASSIGN_OR_RETURN(const LoadedPlan plan,
                         load_plan(options.plan, model, options.target.threads,
                                   options.target.isolate));
    TSR_ASSIGN_OR_RETURN(session,
                         open_plan_session(model, plan, session_options));
  } else {
    TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> device,
                         open_device(options.target));
    TSR_ASSIGN_OR_RETURN(Scheme scheme,
                         choose_scheme(*model.model, options.target.scheme));
    scheme = with_kv(fit_scheme(std::move(scheme), *device), options.target.kv);
    TSR_ASSIGN_OR_RETURN(session,
                         open_session(model, device, scheme, session_options));
  }
  return session::make_engine(std::move(model), std::move(session));
}

// Before the first request: a script reads the port here.
Status announce(const ServeOptions& options, const Server& server,
                const session::Engine& engine) {
  const bool is_v6 = options.host.find(':') != std::string::npos;
  const std::string url = fmt::format(
      "http://{}:{}", is_v6 ? "[" + options.host + "]" : options.host,
      server.port());
  if (options.json) {
    TSR_RETURN_IF_ERROR(
        print_json("serve", {{"url", url},
                             {"model", engine.model_name()},
                             {"max_context", engine.max_context()}}));
  } else {
    write_out(
        fmt::format("{} at {}/v1; Ctrl-C ends it\n", engine.model_name(), url));
  }
  if (!is_loopback(options.host)) {
    write_err(
        fmt::format("tessera serve: whoever can reach {} may ask; nothing "
                    "is encrypted\n",
                    options.host));
  }
  return flush_out();
}

Status run_serve(const ServeOptions& options) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<session::Engine> engine,
                       open_engine(options));
  const Interrupt interrupt;
  ServerOptions server_options;
  server_options.host = options.host;
  server_options.port = static_cast<uint16_t>(options.port);
  server_options.is_over = [] { return Interrupt::asked(); };
  Server server(*engine, server_options);
  TSR_RETURN_IF_ERROR(server.bind());
  TSR_RETURN_IF_ERROR(announce(options, server, *engine));
  return server.run();
}

}  // namespace

Command add_serve_command(CLI::App& tessera) {
  CLI::App* app =
      tessera.add_subcommand("serve", "Answer over HTTP, as OpenAI's API does");
  auto options = std::make_shared<ServeOptions>();
  add_target_options(*app, options->target);
  add_plan_option(*app, options->plan);
  app->add_option("--host", options->host,
                  "Address to listen at; any but this machine's own lets "
                  "others ask too")
      ->type_name("ADDRESS")
      ->capture_default_str();
  app->add_option("--port", options->port, "Port; 0: any that is free")
      ->check(CLI::Range(0, 65535))
      ->type_name("N")
      ->capture_default_str();
  app->add_option("--context", options->context,
                  "Tokens of prompt and answer together, as far as the model "
                  "goes")
      ->check(count_validator(2))
      ->type_name("N")
      ->capture_default_str();
  add_json_option(*app, options->json);
  app->footer(
      "/v1/models, /v1/completions and /v1/chat/completions, with "
      "streaming.\n\n"
      "Examples:\n"
      "  tessera serve Qwen3-0.6B --scheme w8a8_dynamic\n"
      "  curl http://127.0.0.1:8080/v1/completions -H 'Content-Type: "
      "application/json' \\\n"
      "      -d '{\"prompt\": \"A library for\", \"max_tokens\": 32}'");
  return {app, [options] { return run_serve(*options); }};
}

}  // namespace tessera::cli
