// SPDX-License-Identifier: Apache-2.0

#include "tests/e2e/loaded_model.hpp"

#include <algorithm>
#include <filesystem>

#include "framework/model/build_graph.hpp"

namespace tessera::e2e {
namespace {

Plan make_plan(const Graph& graph, const LoadOptions& options,
               const Scheme& scheme) {
  Plan plan = uniform_plan(graph, "cpu", scheme);
  if (options.two_devices) {
    for (size_t i = 1; i < plan.layers.size(); i += 2) {
      plan.layers[i].device = "isolated cpu";
    }
  }
  return plan;
}

}  // namespace

std::string default_model_folder() {
  return std::string(TSR_SOURCE_DIR) + "/models/tessera-5m";
}

std::string shared_model_folder(const std::string& name) {
  const std::string folder =
      std::string(TSR_SOURCE_DIR) + "/../shared/models/" + name;
  return std::filesystem::exists(folder) ? folder : "";
}

std::vector<int32_t> LoadedModel::encode(const std::string& text) const {
  return *model.tokenizer.encode(text);
}

Result<Generation> LoadedModel::generate(const std::vector<int32_t>& prompt,
                                         uint32_t count) {
  Request request;
  request.prompt = prompt;
  request.max_new_tokens = count;
  TSR_ASSIGN_OR_RETURN(
      GenerationResult result,
      tessera::generate(*session, {request}, model.config.eos_ids, nullptr));
  return std::move(result.generations[0]);
}

Result<std::shared_ptr<Device>> open_cpu(const LoadOptions& options,
                                         bool isolate) {
  RegistryOptions registry;
  registry.folders = {std::string(TSR_BINARY_DIR) + "/plugins"};
  if (isolate) registry.isolate = {"cpu"};
  registry.host.num_threads = options.num_threads;
  return Registry::discover(registry).open("cpu", options.device_options);
}

Result<std::unique_ptr<LoadedModel>> load(const std::string& folder,
                                          const LoadOptions& options) {
  TSR_ASSIGN_OR_RETURN(Model model, open_model(folder));
  auto loaded =
      std::make_unique<LoadedModel>(LoadedModel{std::move(model), nullptr});
  TSR_ASSIGN_OR_RETURN(const Scheme scheme, find_scheme(options.scheme));
  SessionOptions session = options.session;
  if (session.max_context == 0) {
    session.max_context =
        std::min(loaded->model.config.max_positions, uint32_t{512});
  }
  TSR_ASSIGN_OR_RETURN(Graph graph,
                       build_graph(loaded->model.config, session.max_context));
  DeviceMap devices;
  TSR_ASSIGN_OR_RETURN(devices["cpu"], open_cpu(options, options.isolate));
  if (options.two_devices) {
    TSR_ASSIGN_OR_RETURN(devices["isolated cpu"], open_cpu(options, true));
  }
  const Plan plan = make_plan(graph, options, scheme);
  TSR_ASSIGN_OR_RETURN(loaded->session,
                       Session::create(std::move(graph), plan,
                                       loaded->model.source, devices, session));
  return loaded;
}

}  // namespace tessera::e2e
