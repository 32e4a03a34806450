// SPDX-License-Identifier: Apache-2.0
//
// Options that several commands share: which model, on what, in which
// precision.

#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/scheme.hpp"
#include "framework/host/loading/registry.hpp"

namespace tessera::cli {

struct TargetOptions {
  std::string model;  // a folder; empty: the default model
  std::string device = "cpu";
  std::string scheme;    // empty: that of the checkpoint
  std::string kv;        // empty: what the scheme says
  uint32_t threads = 0;  // 0: one per core
  bool isolate = false;
  Isolation isolation;
  std::vector<std::string> device_options;  // "key=value"
};

// Adds the positional MODEL.
void add_model_option(CLI::App& command, std::string& model);
// Adds --threads.
void add_threads_option(CLI::App& command, uint32_t& threads);
// Adds --json.
void add_json_option(CLI::App& command, bool& json);
// Adds --option.
void add_device_options(CLI::App& command, std::vector<std::string>& options);
// Its texts as keys and values.
std::vector<std::pair<std::string, std::string>> option_pairs(
    const std::vector<std::string>& options);
// Adds --plan, which stands in for --device, --scheme, --kv and --option.
//
// Requires  add_target_options() has been called
void add_plan_option(CLI::App& command, std::string& plan);
// Adds --sandbox and --step-limit.
//
// Requires  add_target_options() has been called
void add_isolation_options(CLI::App& command, Isolation& isolation);
// Adds --kv, the format of the KV cache.
void add_kv_option(CLI::App& command, std::string& kv);

// Adds MODEL, --device, --option, --scheme, --kv, --threads and --isolate.
void add_target_options(CLI::App& command, TargetOptions& options);

// Accepts what find_scheme() accepts.
CLI::Validator scheme_validator();
// Accepts numbers from `min` to `max`.
CLI::Validator count_validator(uint32_t min, uint32_t max = UINT32_MAX);
// Accepts finite numbers of at least 0, or above it.
CLI::Validator not_negative_validator();
CLI::Validator positive_validator();
// Accepts numbers above 0 and at most 1.
CLI::Validator share_validator();

// `scheme` with its KV cache in the format named `kv`, if it is not empty.
Scheme with_kv(Scheme scheme, const std::string& kv);

// The plugins of this machine, with a pool of `threads`.  `devices` are those
// that the user named; `only` are plugins, all if it is empty.
Registry discover_plugins(uint32_t threads, bool isolate,
                          std::vector<std::string> devices = {},
                          std::vector<std::string> only = {},
                          const Isolation& isolation = {});

// The device of --device, opened with what --option says.
Result<std::shared_ptr<Device>> open_device(const TargetOptions& options);
// The device `name` of a registry, opened with "key=value" texts.
Result<std::shared_ptr<Device>> open_device(
    const Registry& registry, const std::string& name,
    const std::vector<std::string>& options);

// Whether `device` computes on this machine's processor, as the cpu plugin
// does; false if there is none.
bool is_processor(const Device& device, const Registry& registry);

// "wall" for TSR_CLOCK_WALL.
std::string clock_name(uint32_t clock);

}  // namespace tessera::cli
