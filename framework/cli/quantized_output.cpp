// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/quantized_output.hpp"

#include <fmt/format.h>

#include "framework/model/layouts/msmodelslim_layout.hpp"
#include "framework/quant/output/folder_sink.hpp"
#include "framework/quant/pipeline/attention_observer.hpp"
#include "framework/quant/pipeline/quantize_linear.hpp"

namespace tessera::cli {

Result<QuantizedOutput> open_quantized_output(const Model& model,
                                              const std::string& format,
                                              const std::string& scheme,
                                              const std::string& path) {
  TSR_ASSIGN_OR_RETURN(const Scheme chosen, find_scheme(scheme));
  QuantizedOutput output;
  output.format = format;
  if (format == "auto") {
    output.format = quant::has_static_activations(chosen) ||
                            quant::has_static_scales(chosen.kv_format)
                        ? "msmodelslim"
                        : "compressed-tensors";
  }
  // Refused now, not after an hour of calibration.
  const LinearChoice choice{chosen.weight_format, chosen.group_size,
                            chosen.symmetric, chosen.act_quant};
  const bool msmodelslim = output.format == "msmodelslim";
  const Status known = msmodelslim ? msmodelslim_type(choice).status()
                                   : compressed_format(choice).status();
  const bool writes_attention =
      msmodelslim || !quant::has_static_scales(chosen.kv_format);
  if (output.format == "gguf" || !known.ok() || !writes_attention) {
    return Status(TSR_UNIMPLEMENTED,
                  fmt::format("--format {}: scheme {} is not written in it yet",
                              output.format, scheme));
  }
  TSR_ASSIGN_OR_RETURN(
      output.sink, quant::FolderSink::create(
                       msmodelslim ? quant::FolderFormat::kMsModelSlim
                                   : quant::FolderFormat::kCompressedTensors,
                       model.folder, model.source, path));
  return output;
}

}  // namespace tessera::cli
