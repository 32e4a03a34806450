// SPDX-License-Identifier: Apache-2.0
//
// Which files a quantized model is written to.

#pragma once

#include <memory>
#include <string>

#include "framework/base/status.hpp"
#include "framework/model/model.hpp"
#include "framework/quant/pipeline/quantize_model.hpp"

namespace tessera::cli {

struct QuantizedOutput {
  std::unique_ptr<quant::QuantizedSink> sink;
  std::string format;  // "msmodelslim" or "compressed-tensors"
};

// `format` "auto": compressed-tensors for what other tools run with dynamic or
// float activations, msModelSlim for static ones.
//
// Requires  `model` outlives the sink
// Errors    UNIMPLEMENTED for a format or a scheme that is not written;
//           FAILED_PRECONDITION if `path` cannot be written
Result<QuantizedOutput> open_quantized_output(const Model& model,
                                              const std::string& format,
                                              const std::string& scheme,
                                              const std::string& path);

}  // namespace tessera::cli
