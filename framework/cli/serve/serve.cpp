// SPDX-License-Identifier: Apache-2.0
//
// tessera serve: a model behind OpenAI's HTTP API.

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "framework/base/mapped_file.hpp"
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

constexpr const char* kKeyVariable = "TESSERA_API_KEY";

struct ServeOptions {
  TargetOptions target;
  std::string plan;
  std::string host = "127.0.0.1";
  uint32_t port = 8080;
  uint32_t context = 4096;
  uint32_t parallel = 4;
  uint32_t queue = 32;
  double grace_seconds = 10.0;
  std::string key_file;
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
  session_options.max_seqs = options.parallel;
  session_options.max_outputs = options.parallel;
  session_options.max_tokens =
      std::max(session_options.max_tokens, options.parallel);
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

Status bad_key(const std::string& where) {
  return {TSR_INVALID_ARGUMENT,
          where + ": a key is one word of printable characters"};
}

bool is_key(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < '\x7f';
  });
}

// A key on each line of the file, and that of the environment.
Result<std::vector<std::string>> read_api_keys(const ServeOptions& options) {
  std::vector<std::string> keys;
  if (const char* const key = std::getenv(kKeyVariable)) {
    keys.emplace_back(key);
    if (!is_key(keys.back())) return bad_key(kKeyVariable);
  }
  if (options.key_file.empty()) return keys;
  TSR_ASSIGN_OR_RETURN(
      const MappedFile file,
      MappedFile::open(options.key_file).annotate("--api-key-file"));
  std::istringstream lines(std::string(
      reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()));
  const size_t before = keys.size();
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line.starts_with('#')) continue;
    if (!is_key(line)) return bad_key("--api-key-file " + options.key_file);
    keys.push_back(line);
  }
  if (keys.size() > before) return keys;
  return Status(TSR_INVALID_ARGUMENT,
                "--api-key-file " + options.key_file + ": has no key");
}

// Before the first request: a script reads the port here.
Status announce(const ServeOptions& options, const Server& server,
                const session::Engine& engine, bool has_keys) {
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
    write_err(fmt::format(
        "tessera serve: {} can reach {}; nothing is encrypted\n",
        has_keys ? "whoever has a key" : "whoever asks, without a key,",
        options.host));
  }
  return flush_out();
}

Status run_serve(const ServeOptions& options) {
  TSR_ASSIGN_OR_RETURN(const std::unique_ptr<session::Engine> engine,
                       open_engine(options));
  ServerOptions server_options;
  TSR_ASSIGN_OR_RETURN(server_options.api_keys, read_api_keys(options));
  const Interrupt interrupt;
  server_options.host = options.host;
  server_options.port = static_cast<uint16_t>(options.port);
  server_options.parallel = options.parallel;
  server_options.max_waiting = options.queue;
  server_options.grace_seconds = options.grace_seconds;
  server_options.is_over = [] { return Interrupt::asked(); };
  Server server(*engine, server_options);
  TSR_RETURN_IF_ERROR(server.bind());
  TSR_RETURN_IF_ERROR(
      announce(options, server, *engine, !server_options.api_keys.empty()));
  return server.run();
}

void add_load_options(CLI::App& app, ServeOptions& options) {
  app.add_option("--parallel", options.parallel,
                 "Answers made at once, in the same steps; each has a KV cache "
                 "of --context tokens")
      ->check(count_validator(1, 256))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--queue", options.queue,
                 "Requests that may wait for that, first come, first served; "
                 "more are refused with 503")
      ->check(count_validator(0, 1024))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--api-key-file", options.key_file,
                 "File with API keys, one on a line; each request must have "
                 "one. TESSERA_API_KEY is one more")
      ->type_name("FILE");
  app.add_option("--grace", options.grace_seconds,
                 "Seconds that answers may go on after Ctrl-C or SIGTERM")
      ->check(not_negative_validator())
      ->type_name("S")
      ->capture_default_str();
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
  add_load_options(*app, *options);
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
