// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/output/gguf_sink.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "framework/base/mapped_file.hpp"
#include "framework/format/element.hpp"
#include "framework/format/encode.hpp"
#include "framework/format/fp4_layout.hpp"
#include "framework/model/gguf/export.hpp"
#include "framework/model/gguf/gguf.hpp"
#include "framework/model/tensor_names.hpp"

namespace tessera::quant {
namespace {

using nlohmann::json;

constexpr uint32_t kRowsPerTask = 64;
constexpr const char* kFile = "model.gguf";

Status system_error(const std::string& path) {
  return {TSR_FAILED_PRECONDITION,
          fmt::format("{}: {}", path, std::strerror(errno))};
}

uint32_t dense_format(uint32_t dtype) {
  switch (dtype) {
    case TSR_F16:
      return TSR_WEIGHT_F16;
    case TSR_BF16:
      return TSR_WEIGHT_BF16;
    default:
      return TSR_WEIGHT_F32;
  }
}

void read_row(const SourceTensor& tensor, uint64_t row, std::span<float> out) {
  for (uint64_t k = 0; k < out.size(); ++k) {
    out[k] = static_cast<float>(format::element_value(
        tensor.dtype, tensor.bytes.data(), row * out.size() + k));
  }
}

}  // namespace

Result<format::WeightData> encode_tensor(const SourceTensor& tensor,
                                         uint32_t weight_format,
                                         const ParallelFor& run,
                                         std::span<const float> importance) {
  const auto N = static_cast<uint32_t>(tensor.shape[0]);
  const auto K = static_cast<uint32_t>(tensor.shape[1]);
  const uint32_t num_tasks = num_pieces(N, kRowsPerTask);
  std::vector<Result<format::WeightData>> parts(
      num_tasks, Status(TSR_INTERNAL, "not encoded"));
  format::WeightScheme scheme;
  scheme.format = weight_format;
  run(num_tasks, [&](uint32_t task) {
    const uint32_t begin = task * kRowsPerTask;
    const uint32_t rows = std::min(kRowsPerTask, N - begin);
    parts[task] = format::encode_rows(
        scheme, rows, K,
        [&](uint32_t n, std::span<float> out_row) {
          read_row(tensor, begin + n, out_row);
          return Status();
        },
        importance);
  });
  format::WeightData whole{weight_format, N, K, {}};
  for (Result<format::WeightData>& part : parts) {
    TSR_RETURN_IF_ERROR(part.status());
    const format::Plane& piece = part->planes[0];
    if (whole.planes.empty()) {
      whole.planes.push_back(piece);
      whole.planes[0].rows = N;
      continue;
    }
    std::vector<std::byte>& bytes = whole.planes[0].owned;
    bytes.insert(bytes.end(), piece.owned.begin(), piece.owned.end());
  }
  return whole;
}

GgufSink::GgufSink(const GgufOutput& output, ResumableOutput folder)
    : output_(output),
      names_(gguf_names(output.config)),
      folder_(std::move(folder)) {}

Result<std::unique_ptr<GgufSink>> GgufSink::create(const GgufOutput& output) {
  std::error_code code;
  if (std::filesystem::is_regular_file(output.model_folder, code)) {
    return Status(TSR_UNIMPLEMENTED,
                  output.model_folder +
                      ": GGUF is written from a Hugging Face folder, not from "
                      "another GGUF file");
  }
  const std::filesystem::path parent =
      std::filesystem::path(output.path).parent_path();
  if (!parent.empty() && !std::filesystem::is_directory(parent, code)) {
    return Status(
        TSR_FAILED_PRECONDITION,
        fmt::format("{}: {} is no folder", output.path, parent.string()));
  }
  TSR_ASSIGN_OR_RETURN(
      GgufMetadata metadata,
      gguf_metadata(output.config, output.model_folder, output.mix.file_type));
  TSR_ASSIGN_OR_RETURN(
      ResumableOutput folder,
      ResumableOutput::open(output.path, output.model_folder,
                            std::string("gguf ") + output.mix.name));
  std::unique_ptr<GgufSink> sink(new GgufSink(output, std::move(folder)));
  sink->metadata_ = std::move(metadata);
  return sink;
}

GgufSink::~GgufSink() {
  if (spool_ != nullptr) std::fclose(spool_);
}

std::string GgufSink::spool_path() const {
  return folder_.path() + "/tensors.spool";
}

Status GgufSink::begin() {
  if (spool_ != nullptr) std::fclose(std::exchange(spool_, nullptr));
  tensors_.clear();
  spooled_bytes_ = 0;
  spool_ = std::fopen(spool_path().c_str(), "wb");
  if (spool_ == nullptr) return system_error(spool_path());
  for (const GgufTable& table : gguf_tables(output_.config)) {
    TSR_RETURN_IF_ERROR(spool({table.name,
                               find_gguf_type_of(TSR_WEIGHT_F32)->id,
                               {table.values.size()}},
                              std::as_bytes(std::span(table.values))));
  }
  return {};
}

Status GgufSink::restore(const json& state) {
  for (const json& row : state) {
    Spooled tensor{{row.at(0).get<std::string>(), row.at(1).get<uint32_t>(),
                    row.at(2).get<std::vector<uint64_t>>()},
                   spooled_bytes_,
                   row.at(3).get<uint64_t>()};
    spooled_bytes_ += tensor.bytes;
    tensors_.push_back(std::move(tensor));
  }
  spool_ = std::fopen(spool_path().c_str(), "r+b");
  if (spool_ == nullptr) return system_error(spool_path());
  const auto end = static_cast<off_t>(spooled_bytes_);
  if (fseeko(spool_, 0, SEEK_END) != 0 || ftello(spool_) < end) {
    return {TSR_DATA_LOSS, fmt::format("{}: shorter than {} bytes",
                                       spool_path(), spooled_bytes_)};
  }
  if (ftruncate(fileno(spool_), end) != 0 ||
      fseeko(spool_, end, SEEK_SET) != 0) {
    return system_error(spool_path());
  }
  return {};
}

Result<Checkpoint> GgufSink::resume(const std::string& fingerprint) {
  TSR_ASSIGN_OR_RETURN(Checkpoint checkpoint,
                       folder_.resume(fingerprint, [this](const json& state) {
                         return restore(state);
                       }));
  if (checkpoint.num_layers == 0) TSR_RETURN_IF_ERROR(begin());
  return checkpoint;
}

Status GgufSink::flush(bool to_disk) {
  if (std::fflush(spool_) == 0 && (!to_disk || fsync(fileno(spool_)) == 0)) {
    return {};
  }
  return system_error(spool_path());
}

Status GgufSink::checkpoint(uint32_t num_layers, const std::string& notes,
                            std::span<const float> hidden) {
  TSR_RETURN_IF_ERROR(flush(false));
  json tensors = json::array();
  for (const Spooled& tensor : tensors_) {
    tensors.push_back(
        {tensor.plan.name, tensor.plan.type, tensor.plan.shape, tensor.bytes});
  }
  return folder_.save(num_layers, notes, hidden, tensors,
                      [this] { return flush(true); });
}

Result<GgufName> GgufSink::name_of(const std::string& name) const {
  const auto found = names_.find(name);
  if (found != names_.end()) return found->second;
  return Status(TSR_UNIMPLEMENTED,
                fmt::format("tensor {} has no name in GGUF", name));
}

// What the mix rounds itself: all that quantize_model() leaves in floats.
uint32_t GgufSink::format_of(const std::string& name) const {
  if (name == kHeadName) return gguf_head_format(output_.mix, output_.config);
  if (name != kEmbeddingName) return 0;
  return output_.config.tie_word_embeddings
             ? gguf_head_format(output_.mix, output_.config)
             : gguf_embedding_format(output_.mix, output_.config);
}

// A head that is the embedding goes by either name in an imatrix.
std::span<const float> GgufSink::importance_of(const std::string& name) const {
  if (output_.importance == nullptr) return {};
  const bool tied = output_.config.tie_word_embeddings;
  for (const std::string& key : {name, std::string(tied ? kHeadName : "")}) {
    const auto found = output_.importance->find(key);
    if (found != output_.importance->end()) return found->second;
  }
  return {};
}

Status GgufSink::spool(GgufPlannedTensor plan,
                       std::span<const std::byte> bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), spool_) != bytes.size()) {
    return system_error(spool_path());
  }
  tensors_.push_back({std::move(plan), spooled_bytes_, bytes.size()});
  spooled_bytes_ += bytes.size();
  return {};
}

Status GgufSink::put_rows(const GgufName& name, uint32_t weight_format,
                          const std::vector<uint64_t>& shape,
                          std::span<const std::byte> bytes) {
  const GgufType* const type = find_gguf_type_of(weight_format);
  if (type == nullptr) {
    return {TSR_UNIMPLEMENTED,
            fmt::format("tensor {}: GGUF has no type for {}", name.name,
                        format::weight_format_name(weight_format))};
  }
  if (name.interleaved_heads == 0) {
    return spool({name.name, type->id, shape}, bytes);
  }
  return spool({name.name, type->id, shape},
               interleave_rows(bytes, static_cast<uint32_t>(shape[0]),
                               name.interleaved_heads));
}

Status GgufSink::put_weight(const std::string& name, format::WeightData weight,
                            const LinearChoice& /*choice*/) {
  TSR_ASSIGN_OR_RETURN(const GgufName to, name_of(name));
  const std::vector<uint64_t> shape = {weight.N, weight.K};
  const bool is_nvfp4 = weight.format == TSR_WEIGHT_NVFP4;
  if (!is_nvfp4 && weight.format != TSR_WEIGHT_MXFP4) {
    return put_rows(to, weight.format, shape, weight.planes[0].bytes());
  }
  const auto layout =
      is_nvfp4 ? format::Fp4Layout::kNvfp4Gguf : format::Fp4Layout::kMxfp4Gguf;
  TSR_ASSIGN_OR_RETURN(const format::Fp4Bytes blocks,
                       format::write_fp4(layout, weight));
  TSR_RETURN_IF_ERROR(put_rows(to, weight.format, shape, blocks.codes));
  if (!is_nvfp4) return {};
  constexpr std::string_view kSuffix = ".weight";
  std::string scale = to.name.substr(0, to.name.size() - kSuffix.size());
  return spool({scale + ".scale", find_gguf_type_of(TSR_WEIGHT_F32)->id, {1}},
               std::as_bytes(std::span(&blocks.tensor_scale, 1)));
}

Status GgufSink::put_vector(const GgufName& name, const SourceTensor& tensor) {
  std::vector<float> values(tensor.shape[0]);
  read_row(tensor, 0, values);
  return put_rows(name, TSR_WEIGHT_F32, tensor.shape,
                  std::as_bytes(std::span(values)));
}

Status GgufSink::put_tensor(const std::string& name,
                            const SourceTensor& tensor) {
  TSR_ASSIGN_OR_RETURN(const GgufName to, name_of(name));
  if (tensor.shape.size() == 1) return put_vector(to, tensor);
  const uint32_t weight_format = format_of(name);
  const uint32_t stored = dense_format(tensor.dtype);
  if (weight_format == 0 || weight_format == stored) {
    return put_rows(to, stored, tensor.shape, tensor.bytes);
  }
  TSR_ASSIGN_OR_RETURN(
      const format::WeightData weight,
      encode_tensor(tensor, weight_format, output_.run, importance_of(name))
          .annotate("tensor " + name));
  return put_rows(to, weight_format, tensor.shape, weight.planes[0].bytes());
}

Status GgufSink::put_floats(const std::string& name, std::vector<float> values,
                            const std::vector<uint64_t>& shape) {
  return put_tensor(name,
                    {TSR_F32, shape, std::as_bytes(std::span(values)), {}});
}

Status GgufSink::keep(const std::string& name) {
  TSR_ASSIGN_OR_RETURN(const SourceTensor tensor, output_.source.tensor(name));
  return put_tensor(name, tensor);
}

Status GgufSink::put_attention(uint32_t layer, AttentionScales /*scales*/) {
  return {
      TSR_UNIMPLEMENTED,
      fmt::format("layer {}: GGUF has no static scales of attention", layer)};
}

Status GgufSink::finish() {
  if (std::fclose(std::exchange(spool_, nullptr)) != 0) {
    return system_error(spool_path());
  }
  TSR_ASSIGN_OR_RETURN(const MappedFile spooled,
                       MappedFile::open(spool_path()));
  std::vector<GgufPlannedTensor> plans;
  plans.reserve(tensors_.size());
  for (const Spooled& tensor : tensors_) plans.push_back(tensor.plan);
  TSR_ASSIGN_OR_RETURN(
      GgufWriter writer,
      GgufWriter::create(folder_.path() + "/" + kFile, metadata_, plans));
  for (const Spooled& tensor : tensors_) {
    const auto bytes = spooled.bytes().subspan(tensor.offset, tensor.bytes);
    TSR_RETURN_IF_ERROR(writer.put(tensor.plan.name, bytes));
    release_mapped(bytes);
  }
  TSR_RETURN_IF_ERROR(writer.finish());
  return folder_.finish_as(kFile);
}

}  // namespace tessera::quant
