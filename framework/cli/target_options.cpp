// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/target_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "framework/session/kv_type.hpp"
#include "tessera/types.h"

namespace tessera::cli {
namespace {

CLI::Validator kv_validator() {
  return {[](std::string& value) -> std::string {
            if (kv_types().contains(value)) return {};
            return fmt::format(
                "{} is not one of f32, f16, bf16, int8, int8_channel, fa3",
                value);
          },
          ""};
}

// The whole of `text` as a number; false if it is something else.
template <typename T>
bool parse_number(const std::string& text, T& out_value) {
  const char* const end = text.data() + text.size();
  const auto [rest, code] = std::from_chars(text.data(), end, out_value);
  return code == std::errc() && rest == end;
}

// `what` completes "x is not ...".
CLI::Validator number_validator(bool (*accepts)(double), const char* what) {
  return {[accepts, what](std::string& value) -> std::string {
            double number = 0.0;
            if (parse_number(value, number) && std::isfinite(number) &&
                accepts(number)) {
              return {};
            }
            return fmt::format("{} is not {}", value, what);
          },
          ""};
}

}  // namespace

CLI::Validator scheme_validator() {
  return {[](std::string& value) -> std::string {
            const Result<Scheme> scheme = find_scheme(value);
            return scheme.ok() ? std::string() : scheme.status().message();
          },
          ""};
}

CLI::Validator count_validator(uint32_t min, uint32_t max) {
  return {[min, max](std::string& value) -> std::string {
            uint32_t number = 0;
            if (parse_number(value, number) && number >= min && number <= max) {
              return {};
            }
            return fmt::format("{} is not a whole number from {} to {}", value,
                               min, max);
          },
          ""};
}

CLI::Validator not_negative_validator() {
  return number_validator([](double x) { return x >= 0.0; },
                          "a number of at least 0");
}

CLI::Validator positive_validator() {
  return number_validator([](double x) { return x > 0.0; }, "a number above 0");
}

CLI::Validator share_validator() {
  return number_validator([](double x) { return x > 0.0 && x <= 1.0; },
                          "a number above 0 and at most 1");
}

void add_model_option(CLI::App& command, std::string& model) {
  command
      .add_option(
          "MODEL", model,
          "Hugging Face model folder or .gguf file; left out: the model "
          "that comes with tessera")
      ->type_name("");
}

void add_threads_option(CLI::App& command, uint32_t& threads) {
  command
      .add_option("--threads", threads,
                  "Threads of the host; left out: one per core")
      ->check(count_validator(1, 1024))
      ->type_name("N");
}

void add_json_option(CLI::App& command, bool& json) {
  command.add_flag("--json", json, "Print JSON; docs/json.md lists the keys");
}

void add_device_options(CLI::App& command, std::vector<std::string>& options) {
  command
      .add_option("--option", options,
                  "Option of the device, such as numerics=hw of a simulated "
                  "one; may be given again")
      ->allow_extra_args(false)
      ->check([](const std::string& text) {
        const size_t at = text.find('=');
        return at == std::string::npos || at == 0 ? text + " is not KEY=VALUE"
                                                  : std::string();
      })
      ->type_name("KEY=VALUE");
}

void add_kv_option(CLI::App& command, std::string& kv) {
  command
      .add_option("--kv", kv,
                  "KV cache: f32, f16, bf16, int8 (a scale per token), or, of "
                  "calibrated models, int8_channel or fa3 (int8 attention); "
                  "left out: the scheme's")
      ->check(kv_validator())
      ->type_name("FORMAT");
}

void add_target_options(CLI::App& command, TargetOptions& options) {
  add_model_option(command, options.model);
  command
      .add_option("--device", options.device,
                  "Device to run on, as `tessera devices` names it")
      ->type_name("DEVICE")
      ->capture_default_str();
  add_device_options(command, options.device_options);
  command
      .add_option("--scheme", options.scheme,
                  "Precision: f32, bf16, w8a8_dynamic, w8a16, w4a16, ...; left "
                  "out: that of the checkpoint")
      ->check(scheme_validator())
      ->type_name("SCHEME");
  add_kv_option(command, options.kv);
  add_threads_option(command, options.threads);
  command.add_flag("--isolate", options.isolate,
                   "Run plugins in a child process");
}

void add_isolation_options(CLI::App& command, Isolation& isolation) {
  command
      .add_flag("--sandbox", isolation.sandbox,
                "Isolated plugins start no programs and open no connections")
      ->needs("--isolate");
  command
      .add_option_function<double>(
          "--step-limit",
          [&isolation](double seconds) {
            isolation.step_limit_ns = static_cast<uint64_t>(seconds * 1e9);
          },
          "An isolated plugin that takes longer for a step counts as hung and "
          "is ended; left out: 60")
      ->check(CLI::Range(0.001, 1e6))
      ->type_name("SECONDS");
}

void add_plan_option(CLI::App& command, std::string& plan) {
  command
      .add_option("--plan", plan,
                  "Plan lock file of `tessera plan`, in place of --device and "
                  "--scheme")
      ->excludes("--device", "--scheme", "--kv", "--option")
      ->type_name("FILE");
}

Scheme with_kv(Scheme scheme, const std::string& kv) {
  return with_kv_type(std::move(scheme), kv);
}

Registry discover_plugins(uint32_t threads, bool isolate,
                          std::vector<std::string> devices,
                          std::vector<std::string> only,
                          const Isolation& isolation) {
  RegistryOptions options;
  options.host.isolation = isolation;
  options.only = std::move(only);
  options.host.num_threads = threads;
  options.devices = std::move(devices);
  if (!isolate) return Registry::discover(options);
  options.isolate = {"*"};
  const bool all = !options.only.empty() || options.devices.empty();
  if (all) return Registry::discover(options);
  // A child for each plugin that was asked for, and no other.
  for (const std::string& device : options.devices) {
    options.only.push_back(device.substr(0, device.find(':')));
  }
  Registry registry = Registry::discover(options);
  const bool complete = std::all_of(
      options.devices.begin(), options.devices.end(),
      [&](const std::string& name) { return registry.find(name).ok(); });
  if (complete) return registry;
  // The message about a name that is none says which there are.
  options.only.clear();
  return Registry::discover(options);
}

std::vector<std::pair<std::string, std::string>> option_pairs(
    const std::vector<std::string>& options) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& option : options) {
    const size_t at = option.find('=');
    pairs.emplace_back(option.substr(0, at), option.substr(at + 1));
  }
  return pairs;
}

Result<std::shared_ptr<Device>> open_device(
    const Registry& registry, const std::string& name,
    const std::vector<std::string>& options) {
  return registry.open(name, option_pairs(options));
}

Result<std::shared_ptr<Device>> open_device(const TargetOptions& options) {
  const Registry registry =
      discover_plugins(options.threads, options.isolate, {options.device}, {},
                       options.isolation);
  return open_device(registry, options.device, options.device_options)
      .annotate("--device");
}

bool is_processor(const Device& device, const Registry& registry) {
  const Result<const DeviceEntry*> cpu = registry.find("cpu");
  if (!cpu.ok()) return false;
  const uint64_t processor = (*cpu)->facts.info.compute_id;
  return processor != 0 && device.info().compute_id == processor;
}

std::string clock_name(uint32_t clock) {
  switch (clock) {
    case TSR_CLOCK_WALL:
      return "wall";
    case TSR_CLOCK_SIMULATED:
      return "simulated";
    default:
      return fmt::format("clock {}", clock);
  }
}

}  // namespace tessera::cli
