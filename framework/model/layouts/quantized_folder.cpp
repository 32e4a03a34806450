// SPDX-License-Identifier: Apache-2.0

#include "framework/model/layouts/quantized_folder.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "framework/format/decode.hpp"
#include "framework/format/weight_check.hpp"
#include "framework/model/checkpoint_source.hpp"
#include "framework/model/json_document.hpp"
#include "framework/model/layouts/compressed_tensors_layout.hpp"
#include "framework/model/layouts/gptq_layout.hpp"
#include "framework/model/layouts/modelopt_layout.hpp"
#include "framework/model/layouts/msmodelslim_layout.hpp"
#include "framework/model/tensor_names.hpp"

namespace tessera {
namespace {

using nlohmann::json;
using Layout = std::unique_ptr<QuantizedLayout>;

constexpr std::string_view kWeight = ".weight";

bool exists(const std::string& path) {
  std::error_code code;
  return std::filesystem::exists(path, code);
}

Result<Layout> layout_of_config(const JsonObject& config) {
  TSR_ASSIGN_OR_RETURN(const std::string method, config.string("quant_method"));
  if (method == "compressed-tensors") {
    return make_compressed_tensors_layout(config);
  }
  if (method == "gptq") return make_gptq_layout(config);
  if (method == "awq") return make_awq_layout(config);
  if (method == "modelopt") return make_modelopt_layout(config);
  return Status(TSR_UNIMPLEMENTED,
                fmt::format("{}: quant_method \"{}\" is not read; "
                            "compressed-tensors, gptq, awq and modelopt are",
                            config.where(), method));
}

// The object `key` of a file, if there are both.
Result<Layout> layout_in(const std::string& path, const char* key,
                         Result<Layout> (*make)(const JsonObject&)) {
  if (!exists(path)) return Layout();
  TSR_ASSIGN_OR_RETURN(const json document, read_json(path));
  TSR_ASSIGN_OR_RETURN(const JsonObject root, JsonObject::from(document, path));
  if (key == nullptr) return make(root);
  if (root.find(key) == nullptr) return Layout();
  TSR_ASSIGN_OR_RETURN(const JsonObject config, root.object(key));
  return make(config);
}

// Module of a weight's name; empty if the name is not one of a weight.
std::string module_of(const std::string& name) {
  if (!name.ends_with(kWeight)) return {};
  return name.substr(0, name.size() - kWeight.size());
}

Result<std::optional<StoredLinear>> find_stored(const Checkpoint& checkpoint,
                                                const QuantizedLayout& layout,
                                                const std::string& name) {
  const std::string module = module_of(name);
  if (module.empty()) return std::optional<StoredLinear>();
  return layout.find(ModuleTensors(checkpoint, module));
}

Result<format::WeightData> read_stored(const Checkpoint& checkpoint,
                                       const QuantizedLayout& layout,
                                       const std::string& name) {
  TSR_ASSIGN_OR_RETURN(const std::optional<StoredLinear> stored,
                       find_stored(checkpoint, layout, name));
  if (!stored) {
    return Status(TSR_NOT_FOUND, "no quantized tensor " + name);
  }
  TSR_ASSIGN_OR_RETURN(
      format::WeightData weight,
      layout.read(ModuleTensors(checkpoint, module_of(name)), *stored));
  const format::WeightView view = weight.view();
  TSR_RETURN_IF_ERROR(format::check_weight(view.desc()).annotate(name));
  return weight;
}

Result<SourceTensor> decoded_tensor(const format::WeightData& weight) {
  TSR_ASSIGN_OR_RETURN(const std::vector<float> values,
                       format::decode_weight(weight));
  const auto bytes = std::as_bytes(std::span(values));
  auto owner = std::make_shared<const std::vector<std::byte>>(bytes.begin(),
                                                              bytes.end());
  SourceTensor tensor{TSR_F32, {weight.N, weight.K}, *owner, {}};
  tensor.owner = std::move(owner);
  return tensor;
}

}  // namespace

Result<std::shared_ptr<const QuantizedLayout>> find_quantized_layout(
    const std::string& folder) {
  const std::string config = folder + "/config.json";
  const std::string slim = folder + "/" + kMsModelSlimDescription;
  Layout layout;
  if (exists(slim)) {
    TSR_ASSIGN_OR_RETURN(const json document, read_json(slim));
    TSR_ASSIGN_OR_RETURN(layout, make_msmodelslim_layout(document));
    return std::shared_ptr<const QuantizedLayout>(std::move(layout));
  }
  for (const char* key : {"quantization_config", "compression_config"}) {
    if (layout != nullptr) break;
    TSR_ASSIGN_OR_RETURN(layout, layout_in(config, key, layout_of_config));
  }
  if (layout == nullptr) {
    TSR_ASSIGN_OR_RETURN(
        layout, layout_in(folder + "/hf_quant_config.json", "quantization",
                          make_modelopt_layout));
  }
  if (layout == nullptr) {
    TSR_ASSIGN_OR_RETURN(layout, layout_in(folder + "/quantize_config.json",
                                           nullptr, make_gptq_layout));
  }
  return std::shared_ptr<const QuantizedLayout>(std::move(layout));
}

WeightSource quantized_source(
    const Checkpoint& checkpoint,
    const std::shared_ptr<const QuantizedLayout>& layout) {
  WeightSource plain = checkpoint_source(checkpoint);
  WeightSource source;
  source.tensor = [&checkpoint, layout, plain = std::move(plain)](
                      const std::string& name) -> Result<SourceTensor> {
    TSR_ASSIGN_OR_RETURN(const std::optional<StoredLinear> stored,
                         find_stored(checkpoint, *layout, name));
    if (!stored) return plain.tensor(name);
    TSR_ASSIGN_OR_RETURN(const format::WeightData weight,
                         read_stored(checkpoint, *layout, name));
    return decoded_tensor(weight);
  };
  source.stored_choice =
      [&checkpoint,
       layout](const std::string& name) -> std::optional<LinearChoice> {
    const auto stored = find_stored(checkpoint, *layout, name);
    if (!stored.ok() || !*stored) return std::nullopt;
    return (*stored)->choice;
  };
  source.stored = [&checkpoint, layout](
                      const std::string& name) -> Result<format::WeightData> {
    return read_stored(checkpoint, *layout, name);
  };
  source.attention =
      [&checkpoint, layout](uint32_t layer) -> std::optional<AttentionScales> {
    Result<std::optional<AttentionScales>> scales =
        layout->attention(checkpoint, layer);
    return scales.ok() ? std::move(*scales) : std::nullopt;
  };
  return source;
}

Status check_quantized_tensors(const ModelConfig& config,
                               const Checkpoint& checkpoint,
                               const QuantizedLayout& layout) {
  for (const TensorSpec& spec : required_tensors(config)) {
    TSR_ASSIGN_OR_RETURN(const std::optional<StoredLinear> stored,
                         find_stored(checkpoint, layout, spec.name));
    const TensorView* const view = checkpoint.find(spec.name);
    if (!stored && view == nullptr) {
      return Status(TSR_NOT_FOUND, fmt::format("no tensor {}, which {} needs",
                                               spec.name, config.architecture));
    }
    const std::vector<uint64_t> shape =
        stored ? std::vector<uint64_t>{stored->N, stored->K} : view->shape;
    if (shape != spec.shape) {
      return Status(
          TSR_INVALID_ARGUMENT,
          fmt::format("tensor {} has shape {}, but config.json asks "
                      "for {}",
                      spec.name, shape_text(shape), shape_text(spec.shape)));
    }
    if (!stored && view->dtype != TSR_F32 && view->dtype != TSR_F16 &&
        view->dtype != TSR_BF16) {
      return Status(TSR_UNIMPLEMENTED,
                    fmt::format("tensor {} is {}, but nothing says how it is "
                                "quantized",
                                spec.name, view->dtype_name));
    }
  }
  for (uint32_t layer = 0; layer < config.num_layers; ++layer) {
    TSR_RETURN_IF_ERROR(layout.attention(checkpoint, layer).status());
  }
  return {};
}

}  // namespace tessera
