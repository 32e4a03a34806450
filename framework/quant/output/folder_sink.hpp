// SPDX-License-Identifier: Apache-2.0
//
// Writes a quantized Hugging Face folder, in msModelSlim's or
// compressed-tensors' form.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/model/layouts/compressed_tensors_writer.hpp"
#include "framework/model/layouts/named_tensor.hpp"
#include "framework/quant/output/resumable_output.hpp"
#include "framework/quant/output/tensor_stream.hpp"
#include "framework/quant/pipeline/quantized_sink.hpp"

namespace tessera::quant {

enum class FolderFormat { kMsModelSlim, kCompressedTensors };

// Tensors go to the disk as they come, so that no more than one is in memory,
// into `output`.partial; finish() renames that.  If the work is cut off before,
// the same inputs go on from the last checkpoint.
class FolderSink final : public QuantizedSink {
 public:
  // `output` must not exist.  `model_folder` gives config.json, the tokenizer
  // and what else a Hugging Face folder has beside its weights.
  //
  // Requires  `source` outlives the sink
  // Errors    those of ResumableOutput::open
  static Result<std::unique_ptr<FolderSink>> create(
      FolderFormat format, const std::string& model_folder,
      const WeightSource& source, const std::string& output);

  Result<Checkpoint> resume(const std::string& fingerprint) override;
  Status put_weight(const std::string& name, format::WeightData weight,
                    const LinearChoice& choice) override;
  Status put_floats(const std::string& name, std::vector<float> values,
                    const std::vector<uint64_t>& shape) override;
  Status put_attention(uint32_t layer, AttentionScales scales) override;
  Status keep(const std::string& name) override;
  Status checkpoint(uint32_t num_layers, const std::string& notes,
                    std::span<const float> hidden) override;
  Status finish() override;

 private:
  FolderSink(FolderFormat format, std::string model_folder,
             const WeightSource& source, ResumableOutput folder);
  Status put(const PlannedTensor& plan, std::span<const std::byte> bytes,
             const std::string& type);
  Status put_float_weight(const std::string& name,
                          const format::WeightData& weight);
  void note(const std::string& name, const std::string& type);
  Result<nlohmann::json> state();
  Status restore(const nlohmann::json& state);
  Status write_config() const;
  Status copy_others() const;

  FolderFormat format_;
  std::string model_folder_;
  const WeightSource& source_;
  ResumableOutput folder_;
  std::unique_ptr<TensorStream> stream_;
  nlohmann::json description_ = nlohmann::json::object();  // msModelSlim's
  std::map<std::string, CompressedLinear> linears_;        // compressed-tensors
  std::vector<std::string> ignored_;
  bool has_head_ = false;  // a head of its own
};

}  // namespace tessera::quant
