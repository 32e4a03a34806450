// SPDX-License-Identifier: Apache-2.0
//
// Writes a quantized Hugging Face folder, in msModelSlim's or
// compressed-tensors' form.

#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/model/layouts/compressed_tensors_writer.hpp"
#include "framework/model/layouts/named_tensor.hpp"
#include "framework/quant/pipeline/quantize_model.hpp"

namespace tessera::quant {

enum class FolderFormat { kMsModelSlim, kCompressedTensors };

// Tensors go to a spool file as they come, so that no more than one is in
// memory; finish() puts them in the order of the format and renames the folder.
class FolderSink final : public QuantizedSink {
 public:
  // `output` must not exist.  `model_folder` gives config.json, the tokenizer
  // and what else a Hugging Face folder has beside its weights.
  //
  // Requires  `source` outlives the sink
  // Errors    FAILED_PRECONDITION if the folder cannot be made
  static Result<std::unique_ptr<FolderSink>> create(
      FolderFormat format, const std::string& model_folder,
      const WeightSource& source, const std::string& output);
  ~FolderSink() override;  // leaves nothing behind unless finished
  FolderSink(const FolderSink&) = delete;
  FolderSink& operator=(const FolderSink&) = delete;

  Status put_weight(const std::string& name, format::WeightData weight,
                    const LinearChoice& choice) override;
  Status put_floats(const std::string& name, std::vector<float> values,
                    const std::vector<uint64_t>& shape) override;
  Status put_attention(uint32_t layer, AttentionScales scales) override;
  Status keep(const std::string& name) override;
  Status finish() override;

 private:
  struct Spooled {
    PlannedTensor plan;
    uint64_t offset = 0;
    uint64_t bytes = 0;
  };

  FolderSink(FolderFormat format, std::string model_folder,
             const WeightSource& source, std::string output);
  Status spool(const PlannedTensor& plan, std::span<const std::byte> bytes,
               const std::string& type);
  Status write_weights();
  Status write_config() const;
  Status copy_others() const;

  FolderFormat format_;
  std::string model_folder_;
  const WeightSource& source_;
  std::string output_;
  std::string partial_;  // the folder until it is whole
  std::FILE* spool_ = nullptr;
  uint64_t spooled_bytes_ = 0;
  std::vector<Spooled> tensors_;
  nlohmann::json description_ = nlohmann::json::object();  // msModelSlim's
  std::map<std::string, CompressedLinear> linears_;        // compressed-tensors
  std::vector<std::string> ignored_;
};

}  // namespace tessera::quant
