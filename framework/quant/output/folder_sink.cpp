// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/output/folder_sink.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "framework/base/atomic_file.hpp"
#include "framework/model/json_document.hpp"
#include "framework/model/layouts/msmodelslim_attention.hpp"
#include "framework/model/layouts/msmodelslim_layout.hpp"
#include "framework/model/tensor_names.hpp"

namespace tessera::quant {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kFloat = "FLOAT";

std::string module_of(const std::string& name) {
  constexpr std::string_view kSuffix = ".weight";
  return name.ends_with(kSuffix) ? name.substr(0, name.size() - kSuffix.size())
                                 : name;
}

bool is_block_linear(const std::string& name, size_t rank) {
  return rank == 2 && name.starts_with("model.layers.");
}

json to_json(const CompressedLinear& linear) {
  const LinearChoice& choice = linear.choice;
  return {choice.format,          choice.group_size, choice.symmetric,
          choice.act_quant,       linear.per_tensor, linear.symmetric_input,
          linear.has_column_order};
}

CompressedLinear read_linear(const json& row) {
  return {{row.at(0).get<uint32_t>(), row.at(1).get<uint32_t>(),
           row.at(2).get<bool>(), row.at(3).get<uint32_t>()},
          row.at(4).get<bool>(),
          row.at(5).get<bool>(),
          row.at(6).get<bool>()};
}

constexpr const char* kCompressed = "W8A8SC";

// Compressed weights lie in a folder for each rank of tensor parallelism.
Status move_to_rank(const std::string& folder) {
  const fs::path rank = fs::path(folder) / "part0-of-1";
  std::error_code code;
  fs::create_directory(rank, code);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder, code)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".safetensors") || name.ends_with(".index.json")) {
      files.push_back(entry.path());
    }
  }
  for (const fs::path& file : files) {
    if (!code) fs::rename(file, rank / file.filename(), code);
  }
  if (!code) return {};
  return {TSR_FAILED_PRECONDITION,
          fmt::format("{}: {}", rank.string(), code.message())};
}

}  // namespace

FolderSink::FolderSink(FolderFormat format, std::string model_folder,
                       const WeightSource& source, ResumableOutput folder)
    : format_(format),
      model_folder_(std::move(model_folder)),
      source_(source),
      folder_(std::move(folder)),
      stream_(std::make_unique<TensorStream>(folder_.path())) {}

Result<std::unique_ptr<FolderSink>> FolderSink::create(
    FolderFormat format, const std::string& model_folder,
    const WeightSource& source, const std::string& output) {
  TSR_ASSIGN_OR_RETURN(
      ResumableOutput folder,
      ResumableOutput::open(output, model_folder,
                            format == FolderFormat::kMsModelSlim
                                ? "msmodelslim"
                                : "compressed-tensors"));
  return std::unique_ptr<FolderSink>(
      new FolderSink(format, model_folder, source, std::move(folder)));
}

Result<Checkpoint> FolderSink::resume(const std::string& fingerprint) {
  TSR_ASSIGN_OR_RETURN(Checkpoint checkpoint,
                       folder_.resume(fingerprint, [this](const json& state) {
                         return restore(state);
                       }));
  if (checkpoint.num_layers == 0) {
    stream_ = std::make_unique<TensorStream>(folder_.path());
    description_ = json::object();
    linears_.clear();
    ignored_.clear();
    has_head_ = false;
  }
  return checkpoint;
}

Status FolderSink::put(const PlannedTensor& plan,
                       std::span<const std::byte> bytes,
                       const std::string& type) {
  note(plan.name, type);
  return stream_->append(plan, bytes);
}

void FolderSink::note(const std::string& name, const std::string& type) {
  description_[name] = type;
  has_head_ = has_head_ || name == kHeadName;
}

Status FolderSink::put_weight(const std::string& name,
                              format::WeightData weight,
                              const LinearChoice& choice) {
  if (is_float_format(choice.format)) return put_float_weight(name, weight);
  const uint32_t group = choice.group_size;
  if (group > 0 && weight.K % group != 0) {
    return {TSR_INVALID_ARGUMENT,
            fmt::format("K={} is not a multiple of group_size={}, as other "
                        "readers need; a smaller group, or disable this linear",
                        weight.K, group)};
  }
  const std::string module = module_of(name);
  std::vector<NamedTensor> tensors;
  std::string type = kFloat;
  if (format_ == FolderFormat::kMsModelSlim) {
    TSR_ASSIGN_OR_RETURN(type, msmodelslim_type(choice));
    TSR_ASSIGN_OR_RETURN(
        tensors, write_msmodelslim_linear(module, weight, choice, TSR_F32, {}));
    if (choice.group_size > 0) description_["group_size"] = choice.group_size;
    description_["model_quant_type"] = type;
  } else {
    TSR_ASSIGN_OR_RETURN(CompressedTensors written,
                         write_compressed_linear(module, weight, choice));
    linears_[module] = written.linear;
    tensors = std::move(written.tensors);
  }
  for (NamedTensor& tensor : tensors) {
    note(tensor.plan.name, type);
    TSR_RETURN_IF_ERROR(stream_->append_behind(std::move(tensor)));
  }
  return {};
}

// A weight that is floats of another type now.
Status FolderSink::put_float_weight(const std::string& name,
                                    const format::WeightData& weight) {
  if (is_block_linear(name, 2)) ignored_.push_back(module_of(name));
  const format::Plane& values = *weight.find(TSR_PLANE_CODES);
  return put({name, values.dtype, {weight.N, weight.K}}, values.bytes(),
             kFloat);
}

Status FolderSink::put_floats(const std::string& name,
                              std::vector<float> values,
                              const std::vector<uint64_t>& shape) {
  if (is_block_linear(name, shape.size())) ignored_.push_back(module_of(name));
  return put({name, TSR_F32, shape}, std::as_bytes(std::span(values)), kFloat);
}

Status FolderSink::put_attention(uint32_t layer, AttentionScales scales) {
  if (format_ != FolderFormat::kMsModelSlim) {
    return {TSR_UNIMPLEMENTED,
            "static scales of attention are written in the format msmodelslim "
            "only"};
  }
  const bool whole = scales.kv_format == TSR_KV_I8_HEAD;
  for (const NamedTensor& tensor : write_msmodelslim_attention(layer, scales)) {
    TSR_RETURN_IF_ERROR(put(tensor.plan, tensor.bytes,
                            whole ? kMsModelSlimFa3 : kMsModelSlimC8));
  }
  description_[whole ? "fa_quant_type" : "kv_cache_type"] =
      whole ? kMsModelSlimFa3 : kMsModelSlimC8;
  return {};
}

Status FolderSink::keep(const std::string& name) {
  TSR_ASSIGN_OR_RETURN(const SourceTensor tensor, source_.tensor(name));
  if (is_block_linear(name, tensor.shape.size())) {
    ignored_.push_back(module_of(name));
  }
  return put({name, tensor.dtype, tensor.shape}, tensor.bytes, kFloat);
}

Result<json> FolderSink::state() {
  TSR_ASSIGN_OR_RETURN(json tensors, stream_->state());
  json linears = json::object();
  for (const auto& [module, linear] : linears_) {
    linears[module] = to_json(linear);
  }
  return json{{"tensors", std::move(tensors)},
              {"description", description_},
              {"linears", std::move(linears)},
              {"ignored", ignored_},
              {"has_head", has_head_}};
}

Status FolderSink::restore(const json& state) {
  TSR_RETURN_IF_ERROR(stream_->restore(state.at("tensors")));
  description_ = state.at("description");
  for (const auto& [module, row] : state.at("linears").items()) {
    linears_[module] = read_linear(row);
  }
  state.at("ignored").get_to(ignored_);
  state.at("has_head").get_to(has_head_);
  return {};
}

Status FolderSink::checkpoint(uint32_t num_layers, const std::string& notes,
                              std::span<const float> hidden) {
  TSR_ASSIGN_OR_RETURN(const json sink, state());
  return folder_.save(num_layers, notes, hidden, sink,
                      [this] { return stream_->sync(); });
}

Status FolderSink::write_config() const {
  TSR_ASSIGN_OR_RETURN(json config, read_json(model_folder_ + "/config.json"));
  // A rotated model's head is no more its embedding.
  if (has_head_) config["tie_word_embeddings"] = false;
  if (format_ == FolderFormat::kMsModelSlim) {
    json description = description_;
    description["version"] = "1.0.0";
    TSR_RETURN_IF_ERROR(
        write_file_atomically(folder_.path() + "/" + kMsModelSlimDescription,
                              description.dump(2) + "\n"));
  } else if (!linears_.empty()) {
    std::vector<std::string> ignored = ignored_;
    ignored.emplace_back("lm_head");
    config["quantization_config"] = compressed_config(linears_, ignored);
  }
  return write_file_atomically(folder_.path() + "/config.json",
                               config.dump(2) + "\n");
}

// The tokenizer and the like: small files that are no weights.
Status FolderSink::copy_others() const {
  for (const char* name :
       {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "generation_config.json", "chat_template.jinja"}) {
    const fs::path from = fs::path(model_folder_) / name;
    std::error_code code;
    if (!fs::is_regular_file(from, code)) continue;
    fs::copy_file(from, fs::path(folder_.path()) / name,
                  fs::copy_options::overwrite_existing, code);
    if (code) {
      return {TSR_FAILED_PRECONDITION,
              fmt::format("{}: {}", from.string(), code.message())};
    }
  }
  return {};
}

Status FolderSink::finish() {
  TSR_RETURN_IF_ERROR(stream_->finish(
      format_ == FolderFormat::kMsModelSlim ? "quant_model_weights" : "model"));
  if (description_.value("model_quant_type", "") == kCompressed) {
    TSR_RETURN_IF_ERROR(move_to_rank(folder_.path()));
  }
  TSR_RETURN_IF_ERROR(write_config());
  TSR_RETURN_IF_ERROR(copy_others());
  return folder_.finish();
}

}  // namespace tessera::quant
