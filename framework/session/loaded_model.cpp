// SPDX-License-Identifier: Apache-2.0

#include "framework/session/loaded_model.hpp"

#include <filesystem>
#include <utility>

#include "framework/format/weight.hpp"
#include "framework/model/build_graph.hpp"
#include "framework/model/tensor_names.hpp"
#include "framework/planner/plan.hpp"
#include "framework/session/default_model.hpp"

namespace tessera {
namespace {

Status check_folder(const std::string& folder) {
  std::error_code code;
  const auto status = std::filesystem::status(folder, code);
  if (!std::filesystem::exists(status)) {
    return {TSR_NOT_FOUND, "MODEL " + folder + ": no such folder"};
  }
  const bool is_gguf = std::filesystem::is_regular_file(status) &&
                       std::filesystem::path(folder).extension() == ".gguf";
  if (!is_gguf && !std::filesystem::is_directory(status)) {
    return {TSR_INVALID_ARGUMENT,
            "MODEL " + folder +
                ": not a folder; a model is a Hugging Face folder with "
                "config.json, tokenizer.json and safetensors, or a .gguf file"};
  }
  return {};
}

}  // namespace

Result<LoadedModel> load_model(const std::string& folder) {
  std::string chosen = folder;
  if (chosen.empty()) {
    TSR_ASSIGN_OR_RETURN(chosen, default_model_folder());
  }
  TSR_RETURN_IF_ERROR(check_folder(chosen));
  TSR_ASSIGN_OR_RETURN(Model model, open_model(chosen));
  LoadedModel loaded;
  loaded.model = std::make_unique<const Model>(std::move(model));
  loaded.source = loaded.model->source;
  return loaded;
}

uint32_t checkpoint_dtype(const Model& model) {
  const WeightSource& source = model.source;
  if (source.stored_choice && source.stored_choice(kEmbeddingName)) {
    return TSR_F32;  // as which it is looked up
  }
  const auto embedding = source.tensor(kEmbeddingName);
  return embedding.ok() ? embedding->dtype : uint32_t{TSR_F32};
}

Result<Scheme> choose_scheme(const Model& model, const std::string& name) {
  if (!name.empty()) return find_scheme(name);
  if (const uint32_t stored = model.totals.weight_format) {
    // Weights that the file has as floats stay so, and so do activations.
    TSR_ASSIGN_OR_RETURN(Scheme scheme, find_scheme("f32"));
    scheme.name = format::weight_format_name(stored) + " (stored)";
    scheme.as_stored = scheme.kv_as_stored = true;
    return scheme;
  }
  switch (checkpoint_dtype(model)) {
    case TSR_F16:
      return find_scheme("w16a16");
    case TSR_BF16:
      return find_scheme("bf16");
    default:
      return find_scheme("f32");
  }
}

Result<std::unique_ptr<Session>> open_session(
    const LoadedModel& model, const std::shared_ptr<Device>& device,
    const Scheme& scheme, const SessionOptions& options) {
  TSR_ASSIGN_OR_RETURN(Graph graph,
                       build_graph(model.model->config, options.max_context));
  mark_stored(model.source, graph);
  const Plan plan = uniform_plan(graph, device->name(), scheme);
  return Session::create(std::move(graph), plan, model.source,
                         {{device->name(), device}}, options);
}

}  // namespace tessera
