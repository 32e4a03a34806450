// SPDX-License-Identifier: Apache-2.0
//
// The RoPE part of config.json, old spelling and new.

#pragma once

#include "framework/base/status.hpp"
#include "framework/model/config.hpp"
#include "framework/model/json_object.hpp"

namespace tessera {

// `rope_theta` beside `rope_scaling`, or everything in `rope_parameters`.
//
// Errors  UNIMPLEMENTED if the type is none of RopeType, or only a part of each
//         head is rotated
//         INVALID_ARGUMENT, naming the key, if a value is wrong
// Source  transformers, modeling_rope_utils.py, standardize_rope_params
Result<RopeConfig> read_rope_config(const JsonObject& config,
                                    uint32_t max_positions);

}  // namespace tessera
