// SPDX-License-Identifier: Apache-2.0
//
// A model folder on devices of the build tree's plugins, for end-to-end tests.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/graph/graph.hpp"
#include "framework/host/loading/registry.hpp"
#include "framework/model/model.hpp"
#include "framework/runtime/generator.hpp"
#include "framework/runtime/session.hpp"

namespace tessera::e2e {

struct LoadOptions {
  std::string scheme = "f32";
  SessionOptions session;
  std::vector<std::pair<std::string, std::string>> device_options;
  bool isolate = false;      // the plugin in a child process
  uint32_t num_threads = 0;  // of the host's pool; 0: all cores
  bool two_devices = false;  // odd layers on the isolated plugin
};

// Everything a session needs, alive together.
struct LoadedModel {
  Model model;
  std::unique_ptr<Session> session;

  std::vector<int32_t> encode(const std::string& text) const;
  // Greedy continuation.
  Result<Generation> generate(const std::vector<int32_t>& prompt,
                              uint32_t count);
};

// The default model, and those of the shared folder (empty if it is not there).
std::string default_model_folder();
std::string shared_model_folder(const std::string& name);

// The cpu backend of the build tree, in this process or in a child.
Result<std::shared_ptr<Device>> open_cpu(const LoadOptions& options,
                                         bool isolate);

Result<std::unique_ptr<LoadedModel>> load(const std::string& folder,
                                          const LoadOptions& options);

}  // namespace tessera::e2e
