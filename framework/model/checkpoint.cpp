// SPDX-License-Identifier: Apache-2.0

#include "framework/model/checkpoint.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "framework/model/json_document.hpp"
#include "framework/model/json_object.hpp"

namespace tessera {
namespace {

using nlohmann::json;

constexpr const char* kSingleFile = "model.safetensors";
// msModelSlim's names, new and old.
constexpr const char* kOtherSingleFiles[] = {"quant_model_weights.safetensors",
                                             "quant_model_weight.safetensors"};
constexpr const char* kIndexFile = "model.safetensors.index.json";

// An index must not reach outside its folder.
bool is_plain_file_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == name.npos;
}

bool exists(const std::string& path) {
  std::error_code code;
  return std::filesystem::exists(path, code);
}

Result<std::map<std::string, std::string>> read_weight_map(
    const json& document, const std::string& source) {
  TSR_ASSIGN_OR_RETURN(const JsonObject index,
                       JsonObject::from(document, source));
  const json* const map = index.find("weight_map");
  if (map == nullptr || !map->is_object() || map->empty()) {
    return index.error("weight_map", "is not an object with tensors");
  }
  std::map<std::string, std::string> shard_of;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string() ||
        !is_plain_file_name(shard.get_ref<const std::string&>())) {
      return index.error(
          "weight_map",
          fmt::format("places tensor {} in {}, expected a plain file name",
                      tensor, shard.dump(-1, ' ', true)));
    }
    shard_of.emplace(tensor, shard.get<std::string>());
  }
  return shard_of;
}

}  // namespace

Result<std::map<std::string, std::string>> parse_shard_index(
    std::string_view text, const std::string& source) {
  TSR_ASSIGN_OR_RETURN(const json document, parse_json(text, source));
  return read_weight_map(document, source);
}

namespace {

// Opens each file once; `tensors` gets the tensor of every entry.
Status open_shards(const std::string& folder,
                   const std::map<std::string, std::string>& shard_of,
                   std::vector<Safetensors>& shards,
                   std::map<std::string_view, const TensorView*>& tensors) {
  std::map<std::string, size_t> opened;
  for (const auto& [tensor, shard] : shard_of) {
    if (opened.count(shard) == 0) {
      TSR_ASSIGN_OR_RETURN(Safetensors file, Safetensors::open(fmt::format(
                                                 "{}/{}", folder, shard)));
      opened.emplace(shard, shards.size());
      shards.push_back(std::move(file));
    }
  }
  for (const auto& [tensor, shard] : shard_of) {
    const TensorView* view = shards[opened.at(shard)].find(tensor);
    if (view == nullptr) {
      return Status(TSR_NOT_FOUND,
                    fmt::format("{}/{}: no tensor {}, which {} places there",
                                folder, shard, tensor, kIndexFile));
    }
    tensors.emplace(view->name, view);
  }
  return {};
}

// "2" of "part0-of-2"; empty for another name.
std::string degree_of(const std::string& name) {
  constexpr std::string_view kPart = "part";
  constexpr std::string_view kOf = "-of-";
  const size_t of = name.find(kOf);
  if (!name.starts_with(kPart) || of == name.npos) return {};
  const std::string rank = name.substr(kPart.size(), of - kPart.size());
  const std::string degree = name.substr(of + kOf.size());
  const auto is_number = [](const std::string& text) {
    return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  };
  return is_number(rank) && is_number(degree) ? degree : std::string();
}

// Compressed weights lie in a folder for each rank of tensor parallelism, of
// which there may be one.
Result<std::string> weights_folder(const std::string& folder) {
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(folder, code)) {
    const std::string name = entry.path().filename().string();
    const std::string degree = degree_of(name);
    if (degree.empty() || !entry.is_directory(code)) continue;
    if (degree == "1") return fmt::format("{}/{}", folder, name);
    return Status(
        TSR_FAILED_PRECONDITION,
        fmt::format("{}/{}: the weights are divided between {} ranks "
                    "of tensor parallelism, but 1 runs here; compress "
                    "the model again",
                    folder, name, degree));
  }
  return folder;
}

}  // namespace

Result<Checkpoint> Checkpoint::open(const std::string& model_folder) {
  TSR_ASSIGN_OR_RETURN(const std::string folder, weights_folder(model_folder));
  std::string single = folder + "/" + kSingleFile;
  for (const char* name : kOtherSingleFiles) {
    if (!exists(single) && exists(folder + "/" + name)) {
      single = folder + "/" + name;
    }
  }
  const std::string index = folder + "/" + kIndexFile;
  Checkpoint checkpoint;
  if (exists(single)) {
    TSR_ASSIGN_OR_RETURN(Safetensors file, Safetensors::open(single));
    checkpoint.shards_.push_back(std::move(file));
    for (const TensorView& view : checkpoint.shards_[0].tensors()) {
      checkpoint.tensors_.emplace(view.name, &view);
    }
  } else if (exists(index)) {
    TSR_ASSIGN_OR_RETURN(const json document, read_json(index));
    TSR_ASSIGN_OR_RETURN(const auto shard_of, read_weight_map(document, index));
    TSR_RETURN_IF_ERROR(
        open_shards(folder, shard_of, checkpoint.shards_, checkpoint.tensors_));
  } else {
    return Status(TSR_NOT_FOUND, fmt::format("{}: no {} and no {}", folder,
                                             kSingleFile, kIndexFile));
  }
  for (const Safetensors& shard : checkpoint.shards_) {
    for (const auto& [alias, target] : shard.metadata()) {
      if (checkpoint.tensors_.count(alias) == 0 &&
          checkpoint.tensors_.count(target) == 1) {
        checkpoint.aliases_.emplace(alias, target);
      }
    }
  }
  return checkpoint;
}

Checkpoint Checkpoint::of_gguf(Gguf file, std::vector<TensorView> views) {
  Checkpoint checkpoint;
  checkpoint.gguf_ = std::move(file);
  checkpoint.renamed_ = std::move(views);
  for (const TensorView& view : checkpoint.renamed_) {
    checkpoint.tensors_.emplace(view.name, &view);
  }
  return checkpoint;
}

const TensorView* Checkpoint::find(std::string_view name) const {
  const auto alias = aliases_.find(name);
  const auto it = tensors_.find(
      alias == aliases_.end() ? name : std::string_view(alias->second));
  return it == tensors_.end() ? nullptr : it->second;
}

std::vector<const TensorView*> Checkpoint::tensors() const {
  std::vector<const TensorView*> views;
  views.reserve(tensors_.size());
  for (const auto& [name, view] : tensors_) views.push_back(view);
  return views;
}

uint64_t Checkpoint::bytes() const {
  uint64_t sum = 0;
  for (const auto& [name, view] : tensors_) sum += view->data.size();
  return sum;
}

}  // namespace tessera
