// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/output/folder_sink.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "framework/base/atomic_file.hpp"
#include "framework/base/mapped_file.hpp"
#include "framework/model/json_document.hpp"
#include "framework/model/layouts/msmodelslim_attention.hpp"
#include "framework/model/layouts/msmodelslim_layout.hpp"

namespace tessera::quant {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSpool = "weights.spool";
constexpr const char* kFloat = "FLOAT";
constexpr uint64_t kMaxShardBytes = UINT64_C(4) << 30;

Status system_error(const std::string& path) {
  return {TSR_FAILED_PRECONDITION,
          fmt::format("{}: {}", path, std::strerror(errno))};
}

std::string module_of(const std::string& name) {
  constexpr std::string_view kSuffix = ".weight";
  return name.ends_with(kSuffix) ? name.substr(0, name.size() - kSuffix.size())
                                 : name;
}

bool is_block_linear(const std::string& name, size_t rank) {
  return rank == 2 && name.starts_with("model.layers.");
}

}  // namespace

FolderSink::FolderSink(FolderFormat format, std::string model_folder,
                       const WeightSource& source, std::string output)
    : format_(format),
      model_folder_(std::move(model_folder)),
      source_(source),
      output_(std::move(output)),
      partial_(output_ + ".partial") {}

Result<std::unique_ptr<FolderSink>> FolderSink::create(
    FolderFormat format, const std::string& model_folder,
    const WeightSource& source, const std::string& output) {
  std::unique_ptr<FolderSink> sink(
      new FolderSink(format, model_folder, source, output));
  std::error_code code;
  fs::create_directories(sink->partial_, code);
  const std::string path = sink->partial_ + "/" + kSpool;
  sink->spool_ = std::fopen(path.c_str(), "wb");
  if (sink->spool_ == nullptr) return system_error(path);
  return sink;
}

FolderSink::~FolderSink() {
  if (spool_ != nullptr) std::fclose(spool_);
  std::error_code code;
  fs::remove_all(partial_, code);
}

Status FolderSink::spool(const PlannedTensor& plan,
                         std::span<const std::byte> bytes,
                         const std::string& type) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), spool_) != bytes.size()) {
    return system_error(partial_ + "/" + kSpool);
  }
  tensors_.push_back({plan, spooled_bytes_, bytes.size()});
  spooled_bytes_ += bytes.size();
  description_[plan.name] = type;
  return {};
}

Status FolderSink::put_weight(const std::string& name,
                              format::WeightData weight,
                              const LinearChoice& choice) {
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
  for (const NamedTensor& tensor : tensors) {
    TSR_RETURN_IF_ERROR(spool(tensor.plan, tensor.bytes, type));
  }
  return {};
}

Status FolderSink::put_floats(const std::string& name,
                              std::vector<float> values,
                              const std::vector<uint64_t>& shape) {
  if (is_block_linear(name, shape.size())) ignored_.push_back(module_of(name));
  return spool({name, TSR_F32, shape}, std::as_bytes(std::span(values)),
               kFloat);
}

Status FolderSink::put_attention(uint32_t layer, AttentionScales scales) {
  if (format_ != FolderFormat::kMsModelSlim) {
    return {TSR_UNIMPLEMENTED,
            "static scales of attention are written in the format msmodelslim "
            "only"};
  }
  const bool whole = scales.kv_format == TSR_KV_I8_HEAD;
  for (const NamedTensor& tensor : write_msmodelslim_attention(layer, scales)) {
    TSR_RETURN_IF_ERROR(spool(tensor.plan, tensor.bytes,
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
  return spool({name, tensor.dtype, tensor.shape}, tensor.bytes, kFloat);
}

Status FolderSink::write_weights() {
  const std::string path = partial_ + "/" + kSpool;
  if (std::fclose(std::exchange(spool_, nullptr)) != 0) {
    return system_error(path);
  }
  TSR_ASSIGN_OR_RETURN(const MappedFile spooled, MappedFile::open(path));
  std::map<std::string, const Spooled*> places;
  std::vector<PlannedTensor> plans;
  for (const Spooled& tensor : tensors_) {
    places[tensor.plan.name] = &tensor;
    plans.push_back(tensor.plan);
  }
  const ShardPlan shards{
      partial_,
      format_ == FolderFormat::kMsModelSlim ? "quant_model_weights" : "model",
      spooled_bytes_ > kMaxShardBytes ? kMaxShardBytes : 0,
      {{"format", "pt"}}};
  TSR_RETURN_IF_ERROR(write_shards(
      shards, file_order(std::move(plans)),
      [&](const PlannedTensor& plan) -> Result<std::span<const std::byte>> {
        const Spooled& place = *places.at(plan.name);
        return spooled.bytes().subspan(place.offset, place.bytes);
      }));
  std::error_code code;
  fs::remove(path, code);
  return {};
}

Status FolderSink::write_config() const {
  TSR_ASSIGN_OR_RETURN(nlohmann::json config,
                       read_json(model_folder_ + "/config.json"));
  if (format_ == FolderFormat::kMsModelSlim) {
    nlohmann::json description = description_;
    description["version"] = "1.0.0";
    TSR_RETURN_IF_ERROR(write_file_atomically(
        partial_ + "/" + kMsModelSlimDescription, description.dump(2) + "\n"));
  } else {
    std::vector<std::string> ignored = ignored_;
    ignored.emplace_back("lm_head");
    config["quantization_config"] = compressed_config(linears_, ignored);
  }
  return write_file_atomically(partial_ + "/config.json",
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
    fs::copy_file(from, fs::path(partial_) / name, code);
    if (code) {
      return {TSR_FAILED_PRECONDITION,
              fmt::format("{}: {}", from.string(), code.message())};
    }
  }
  return {};
}

Status FolderSink::finish() {
  TSR_RETURN_IF_ERROR(write_weights());
  TSR_RETURN_IF_ERROR(write_config());
  TSR_RETURN_IF_ERROR(copy_others());
  std::error_code code;
  fs::rename(partial_, output_, code);
  if (code) {
    return {TSR_FAILED_PRECONDITION,
            fmt::format("{}: {}", output_, code.message())};
  }
  return {};
}

}  // namespace tessera::quant
