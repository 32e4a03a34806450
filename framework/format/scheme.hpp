// SPDX-License-Identifier: Apache-2.0
//
// Precision schemes: what the names of design.md mean in weight formats,
// activation types and quantization modes.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"
#include "tessera/types.h"

namespace tessera {

// TSR_WEIGHT_* that floats of a quantized file become, by the type they have:
// the same, unless the device has no product for it.
struct StoredFloats {
  uint32_t f32 = TSR_WEIGHT_F32;
  uint32_t f16 = TSR_WEIGHT_F16;
  uint32_t bf16 = TSR_WEIGHT_BF16;
};

// How linears of one layer hold their weights and read their activations.
struct Scheme {
  std::string name;
  uint32_t weight_format = 0;  // TSR_WEIGHT_*
  uint32_t group_size = 0;     // weights per scale along K; 0: all of K
  bool symmetric = true;
  uint32_t act_quant = 0;  // TSR_ACT_*
  uint32_t act_dtype = 0;  // TSR_F32, TSR_F16 or TSR_BF16: between the ops
  uint32_t kv_format = 0;  // TSR_KV_*: of the cache unless the user says other
  uint32_t head_format =
      0;  // TSR_WEIGHT_*: of the projection to the vocabulary
  // W8A8S: s8 weights that take few values, but for a few protected ones.
  bool sparsified = false;
  // Weights that the file has quantized are taken as they are, whatever stands
  // above.
  bool as_stored = false;
  StoredFloats stored_floats;
  // So is the form of the KV cache, where the file has scales for it.
  bool kv_as_stored = false;
};

// How the linear of a weight is run.
struct LinearChoice {
  uint32_t format = 0;      // TSR_WEIGHT_*
  uint32_t group_size = 0;  // weights per scale along K; 0: all of K
  bool symmetric = true;
  uint32_t act_quant = 0;  // TSR_ACT_*

  bool operator==(const LinearChoice&) const = default;
};

// Whether some inputs of the linear are rounded by scales fixed beforehand.
bool has_static_activations(uint32_t act_quant);

// Whether weights of this TSR_WEIGHT_* are the numbers themselves.
bool is_float_format(uint32_t weight_format);

// The scheme of that name: one of scheme_names(), where w4a16, w4a8 and w4a4
// may carry _g32, _g64, _g128 or _channel, w4a16 then _asym ("w4a16" is
// "w4a16_g128"), and any name one of
//
//   _kv8          an int8 KV cache with one scale per token and head
//   _kv8_channel  with static scales per channel, from calibration
//   _fa3          int8 attention with static scales per head, from calibration
//
// Errors: INVALID_ARGUMENT, naming the schemes there are.
Result<Scheme> find_scheme(std::string_view name);

// Without suffixes, in the order of the table of design.md.
std::vector<std::string> scheme_names();

}  // namespace tessera
