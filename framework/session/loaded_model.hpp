// SPDX-License-Identifier: Apache-2.0
//
// A model on the host, and the way from there to a session on a device.

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "framework/base/status.hpp"
#include "framework/format/scheme.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/host/device/device.hpp"
#include "framework/model/model.hpp"
#include "framework/runtime/session.hpp"

namespace tessera {

struct LoadedModel {
  std::unique_ptr<const Model> model;
  WeightSource source;
};

// Opens the model in `folder`, which may be a .gguf file, or the default model
// if it is empty. Errors  NOT_FOUND or INVALID_ARGUMENT if it is no model
// folder;
//         those of open_model()
Result<LoadedModel> load_model(const std::string& folder);

// The scheme named `name`, or that of the checkpoint's own floats if it is
// empty: f32, w16a16 or bf16; of a quantized checkpoint, its weights as they
// are stored, with the rest in f32.
Result<Scheme> choose_scheme(const Model& model, const std::string& name);

// The type that the checkpoint's embedding is read as: TSR_F32, TSR_F16 or
// TSR_BF16; F32 if it is quantized.
uint32_t checkpoint_dtype(const Model& model);

// The whole model on one device in one scheme.
//
// Requires  `model` outlives the session
// Errors    INVALID_ARGUMENT if options.max_context is beyond the model's;
//           what the device says of the scheme
Result<std::unique_ptr<Session>> open_session(
    const LoadedModel& model, const std::shared_ptr<Device>& device,
    const Scheme& scheme, const SessionOptions& options);

}  // namespace tessera
