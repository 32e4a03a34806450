// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/quantize/quantized_output.hpp"

#include <fmt/format.h>

#include "framework/model/layouts/msmodelslim_layout.hpp"
#include "framework/quant/output/folder_sink.hpp"
#include "framework/quant/output/gguf_sink.hpp"
#include "framework/quant/pipeline/attention_observer.hpp"
#include "framework/quant/pipeline/quantize_linear.hpp"

namespace tessera::cli {

namespace {

Result<QuantizedOutput> open_gguf_output(const Model& model,
                                         const OutputRequest& request) {
  TSR_ASSIGN_OR_RETURN(
      const quant::GgufMix mix,
      quant::find_gguf_mix(request.scheme).annotate("--format gguf"));
  TSR_ASSIGN_OR_RETURN(
      std::unique_ptr<quant::GgufSink> sink,
      quant::GgufSink::create({model.config, model.source, model.folder, mix,
                               request.path, request.run, request.importance}));
  return QuantizedOutput{std::move(sink), "gguf"};
}

}  // namespace

std::string format_for(const std::string& format, const std::string& path) {
  return format == "auto" && path.ends_with(".gguf") ? "gguf" : format;
}

Result<QuantizedOutput> open_quantized_output(const Model& model,
                                              const OutputRequest& request) {
  QuantizedOutput output;
  output.format = format_for(request.format, request.path);
  if (output.format == "gguf") return open_gguf_output(model, request);
  TSR_ASSIGN_OR_RETURN(const Scheme chosen, find_scheme(request.scheme));
  if (output.format == "auto") {
    output.format = has_static_activations(chosen.act_quant) ||
                            quant::has_static_scales(chosen.kv_format)
                        ? "msmodelslim"
                        : "compressed-tensors";
  }
  // Refused now, not after an hour of calibration.
  const LinearChoice choice{chosen.weight_format, chosen.group_size,
                            chosen.symmetric, chosen.act_quant};
  const bool msmodelslim = output.format == "msmodelslim";
  const bool is_float = is_float_format(chosen.weight_format);
  const Status known = is_float      ? Status()
                       : msmodelslim ? msmodelslim_type(choice).status()
                                     : compressed_format(choice).status();
  const bool writes_attention =
      msmodelslim || !quant::has_static_scales(chosen.kv_format);
  if (!known.ok() || !writes_attention) {
    const bool has_gguf = quant::find_gguf_mix(request.scheme).ok();
    return Status(
        TSR_UNIMPLEMENTED,
        fmt::format("--format {}: scheme {} is not written in it{}",
                    output.format, request.scheme,
                    has_gguf ? "; -o FILE.gguf is a file that has it" : ""));
  }
  TSR_ASSIGN_OR_RETURN(
      output.sink, quant::FolderSink::create(
                       msmodelslim ? quant::FolderFormat::kMsModelSlim
                                   : quant::FolderFormat::kCompressedTensors,
                       model.folder, model.source, request.path));
  return output;
}

}  // namespace tessera::cli
