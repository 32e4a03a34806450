// SPDX-License-Identifier: Apache-2.0

#include "framework/model/model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "framework/model/checkpoint_source.hpp"
#include "framework/model/gguf/model.hpp"
#include "framework/model/layouts/quantized_folder.hpp"
#include "framework/model/tensor_names.hpp"

namespace tessera {
namespace {

StoredTotals totals_of(const Checkpoint& checkpoint) {
  StoredTotals totals;
  totals.bytes = checkpoint.bytes();
  std::map<uint32_t, uint64_t> quantized;  // bytes of each format
  for (const TensorView* tensor : checkpoint.tensors()) {
    uint64_t elements = 1;
    for (const uint64_t dim : tensor->shape) elements *= dim;
    totals.parameters += elements;
    ++totals.tensors;
    if (tensor->weight_format != 0) {
      quantized[tensor->weight_format] += tensor->data.size();
    }
  }
  const auto most = std::max_element(
      quantized.begin(), quantized.end(),
      [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most != quantized.end()) totals.weight_format = most->first;
  return totals;
}

}  // namespace

Status check_tensors(const ModelConfig& config, const Checkpoint& checkpoint) {
  for (const TensorSpec& spec : required_tensors(config)) {
    const TensorView* const view = checkpoint.find(spec.name);
    if (view == nullptr) {
      return Status(TSR_NOT_FOUND, fmt::format("no tensor {}, which {} needs",
                                               spec.name, config.architecture));
    }
    if (view->shape != spec.shape) {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("tensor {} has shape {}, but config.json asks "
                                "for {}",
                                spec.name, shape_text(view->shape),
                                shape_text(spec.shape)));
    }
    if (view->weight_format != 0) continue;
    if (view->dtype != TSR_F32 && view->dtype != TSR_F16 &&
        view->dtype != TSR_BF16) {
      return Status(TSR_UNIMPLEMENTED,
                    fmt::format("tensor {} is {}; F32, F16 and BF16 are "
                                "supported",
                                spec.name, view->dtype_name));
    }
  }
  return {};
}

namespace {

Result<Model> open_gguf(const std::string& path) {
  TSR_ASSIGN_OR_RETURN(Gguf file, Gguf::open(path));
  // Texts of a file need not be UTF-8; what is not becomes U+FFFD.
  const auto text = [](const nlohmann::json& document) {
    return document.dump(-1, ' ', false,
                         nlohmann::json::error_handler_t::replace);
  };
  TSR_ASSIGN_OR_RETURN(const nlohmann::json settings, gguf_config(file));
  TSR_ASSIGN_OR_RETURN(ModelConfig config, parse_config(text(settings), path));
  TSR_ASSIGN_OR_RETURN(const nlohmann::json words, gguf_tokenizer(file));
  TSR_ASSIGN_OR_RETURN(Tokenizer tokenizer,
                       Tokenizer::parse(text(words), path));
  if (static_cast<uint32_t>(tokenizer.vocab_size()) > config.vocab_size) {
    return Status(
        TSR_INVALID_ARGUMENT,
        fmt::format("{}: the tokenizer has ids up to {}, but "
                    "token_embd.weight has {} rows",
                    path, tokenizer.vocab_size() - 1, config.vocab_size));
  }
  TSR_ASSIGN_OR_RETURN(std::vector<TensorView> views,
                       gguf_tensors(file, config.num_layers));
  Checkpoint checkpoint =
      Checkpoint::of_gguf(std::move(file), std::move(views));
  TSR_RETURN_IF_ERROR(check_tensors(config, checkpoint).annotate(path));
  const auto kept = std::make_shared<const Checkpoint>(std::move(checkpoint));
  return Model{std::move(config), std::move(tokenizer), path,
               checkpoint_source(kept), totals_of(*kept)};
}

// The format that most linears are stored in; 0 if all are in floats.
uint32_t most_stored(const ModelConfig& config, const WeightSource& source) {
  std::map<uint32_t, uint32_t> counts;
  for (const TensorSpec& spec : required_tensors(config)) {
    const auto choice = source.stored_choice(spec.name);
    if (choice) ++counts[choice->format];
  }
  const auto most = std::max_element(
      counts.begin(), counts.end(),
      [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == counts.end() ? 0 : most->first;
}

// What quantized_source() gives, which keeps the files.
WeightSource kept_source(const std::shared_ptr<const Checkpoint>& files,
                         const std::shared_ptr<const QuantizedLayout>& layout) {
  const WeightSource inner = quantized_source(*files, layout);
  WeightSource source;
  source.tensor = [files, inner](const std::string& name) {
    return inner.tensor(name);
  };
  source.stored_choice = [files, inner](const std::string& name) {
    return inner.stored_choice(name);
  };
  source.stored = [files, inner](const std::string& name) {
    return inner.stored(name);
  };
  source.attention = [files, inner](uint32_t layer) {
    return inner.attention(layer);
  };
  return source;
}

}  // namespace

Result<Model> open_model(const std::string& folder) {
  std::error_code code;
  if (std::filesystem::is_regular_file(folder, code)) return open_gguf(folder);
  TSR_ASSIGN_OR_RETURN(ModelConfig config, read_config(folder));
  TSR_ASSIGN_OR_RETURN(Checkpoint checkpoint, Checkpoint::open(folder));
  TSR_ASSIGN_OR_RETURN(const auto layout, find_quantized_layout(folder));
  TSR_RETURN_IF_ERROR(
      (layout == nullptr ? check_tensors(config, checkpoint)
                         : check_quantized_tensors(config, checkpoint, *layout))
          .annotate(folder));
  TSR_ASSIGN_OR_RETURN(Tokenizer tokenizer,
                       Tokenizer::load(folder + "/tokenizer.json"));
  if (static_cast<uint32_t>(tokenizer.vocab_size()) > config.vocab_size) {
    return Status(
        TSR_INVALID_ARGUMENT,
        fmt::format("{}: tokenizer.json has ids up to {}, but "
                    "config.json has vocab_size={}",
                    folder, tokenizer.vocab_size() - 1, config.vocab_size));
  }
  const auto files = std::make_shared<const Checkpoint>(std::move(checkpoint));
  WeightSource source =
      layout == nullptr ? checkpoint_source(files) : kept_source(files, layout);
  StoredTotals totals = totals_of(*files);
  if (layout != nullptr) totals.weight_format = most_stored(config, source);
  return Model{std::move(config), std::move(tokenizer), folder,
               std::move(source), totals};
}

}  // namespace tessera
