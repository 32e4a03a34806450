// SPDX-License-Identifier: Apache-2.0
//
// Writes a quantized model as one GGUF file that other programs run.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/model/config.hpp"
#include "framework/model/gguf/names.hpp"
#include "framework/model/gguf/writer.hpp"
#include "framework/quant/algebra/parallel.hpp"
#include "framework/quant/output/gguf_mix.hpp"
#include "framework/quant/output/resumable_output.hpp"
#include "framework/quant/pipeline/quantized_sink.hpp"

namespace tessera::quant {

// What is known before the first tensor comes.
struct GgufOutput {
  const ModelConfig& config;
  const WeightSource& source;
  std::string model_folder;  // of config.json and the tokenizer
  GgufMix mix;
  std::string path;
  ParallelFor run = run_serially();
  // As in QuantizeInputs, for the head and the embedding.
  const std::map<std::string, std::vector<float>>* importance = nullptr;
};

// Tensors go into the folder `path`.partial as they come, so that no more than
// one is in memory; finish() puts the header before them.  If the work is cut
// off before, the same inputs go on from the last checkpoint.  Matrices in
// floats keep the type that they have, vectors become F32, and the embedding
// and the head are rounded as the mix says.
class GgufSink final : public QuantizedSink {
 public:
  // Requires  what `output` refers to outlives the sink
  // Errors    those of gguf_metadata() and ResumableOutput::open;
  //           FAILED_PRECONDITION if the folder of `path` does not exist
  static Result<std::unique_ptr<GgufSink>> create(const GgufOutput& output);
  ~GgufSink() override;  // leaves nothing behind but a checkpoint
  GgufSink(const GgufSink&) = delete;
  GgufSink& operator=(const GgufSink&) = delete;

  Result<Checkpoint> resume(const std::string& fingerprint) override;
  // Errors  UNIMPLEMENTED, naming the tensor, for a format without a GGUF type
  Status put_weight(const std::string& name, format::WeightData weight,
                    const LinearChoice& choice) override;
  Status put_floats(const std::string& name, std::vector<float> values,
                    const std::vector<uint64_t>& shape) override;
  Status keep(const std::string& name) override;
  Status put_attention(uint32_t layer, AttentionScales scales) override;
  Status checkpoint(uint32_t num_layers, const std::string& notes,
                    std::span<const float> hidden) override;
  Status finish() override;

 private:
  struct Spooled {
    GgufPlannedTensor plan;
    uint64_t offset = 0;
    uint64_t bytes = 0;
  };

  GgufSink(const GgufOutput& output, ResumableOutput folder);
  std::string spool_path() const;
  // The spool with nothing in it but the tables that are no weights.
  Status begin();
  Status restore(const nlohmann::json& state);
  Status flush(bool to_disk);
  Status put_tensor(const std::string& name, const SourceTensor& tensor);
  Status put_vector(const GgufName& name, const SourceTensor& tensor);
  Status put_rows(const GgufName& name, uint32_t weight_format,
                  const std::vector<uint64_t>& shape,
                  std::span<const std::byte> bytes);
  Status spool(GgufPlannedTensor plan, std::span<const std::byte> bytes);
  Result<GgufName> name_of(const std::string& name) const;
  uint32_t format_of(const std::string& name) const;
  std::span<const float> importance_of(const std::string& name) const;

  GgufOutput output_;
  GgufMetadata metadata_;
  std::map<std::string, GgufName> names_;
  ResumableOutput folder_;
  std::FILE* spool_ = nullptr;
  uint64_t spooled_bytes_ = 0;
  std::vector<Spooled> tensors_;
};

// A matrix rounded to one format, in pieces of rows.
// Errors  those of format::encode_weight()
Result<format::WeightData> encode_tensor(
    const SourceTensor& tensor, uint32_t weight_format, const ParallelFor& run,
    std::span<const float> importance = {});

}  // namespace tessera::quant
