// SPDX-License-Identifier: Apache-2.0
//
// Which files a quantized model is written to.

#pragma once

#include <memory>
#include <string>

#include "framework/base/status.hpp"
#include "framework/model/gguf/imatrix.hpp"
#include "framework/model/model.hpp"
#include "framework/quant/algebra/parallel.hpp"
#include "framework/quant/pipeline/quantize_model.hpp"

namespace tessera::cli {

struct OutputRequest {
  std::string format;  // "auto", "msmodelslim", "compressed-tensors", "gguf"
  std::string scheme;  // of most linears, or the name of a GGUF mix
  std::string path;    // of the file or folder
  quant::ParallelFor run = quant::run_serially();
  const Importance* importance = nullptr;  // of --imatrix
};

struct QuantizedOutput {
  std::unique_ptr<quant::QuantizedSink> sink;
  std::string format;  // "msmodelslim", "compressed-tensors" or "gguf"
};

// "gguf" for "auto" if `path` ends in .gguf, else `format`.
std::string format_for(const std::string& format, const std::string& path);

// Of "auto": GGUF for a path that ends in .gguf; else compressed-tensors for
// what other tools run with dynamic or float activations, msModelSlim for
// static ones.
//
// Requires  `model` outlives the sink
// Errors    UNIMPLEMENTED for a format or a scheme that is not written;
//           INVALID_ARGUMENT for a scheme that GGUF has no type for;
//           FAILED_PRECONDITION if the path cannot be written
Result<QuantizedOutput> open_quantized_output(const Model& model,
                                              const OutputRequest& request);

}  // namespace tessera::cli
