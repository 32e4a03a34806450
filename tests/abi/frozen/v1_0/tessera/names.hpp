// SPDX-License-Identifier: Apache-2.0
//
// tessera/names.hpp - the constants of the ABI as words for messages and
// traces.

#pragma once

#include <cstdint>
#include <string>

#include "tessera/ops.h"
#include "tessera/types.h"

namespace tessera::sdk::names {

namespace detail {

template <size_t Count>
std::string word(const char* const (&words)[Count], const char* kind,
                 uint32_t value) {
  if (value < Count && words[value] != nullptr) return words[value];
  return std::string(kind) + " " + std::to_string(value);
}

}  // namespace detail

// "linear" for TSR_OP_LINEAR; "op 99" for an unknown one, and so on below.
inline std::string op(uint32_t kind) {
  static const char* const words[] = {
      nullptr,      "linear",    "attention",  "kv_append", "rms_norm",
      "layer_norm", "rope",      "add",        "silu_mul",  "gelu",
      "softmax",    "embedding", "gather_rows"};
  if (kind == TSR_OP_EXTENSION) return "extension";
  return detail::word(words, "op", kind);
}

inline std::string dtype(uint32_t value) {
  static const char* const words[] = {
      nullptr, "f32", "f16",    "bf16",   "i32",    "i8",   "u8",
      "i4",    "u4",  "f8e4m3", "f8e5m2", "f4e2m1", "e8m0", "i64"};
  return detail::word(words, "dtype", value);
}

inline std::string weight_format(uint32_t value) {
  static const char* const words[] = {
      nullptr, "f32",  "f16",          "bf16",          "i8",     "u8",
      "i4",    "u4",   "f8e4m3",       "f8e5m2",        "f4e2m1", "mxfp4",
      "nvfp4", "q4_0", "q4_1",         "q5_0",          "q5_1",   "q8_0",
      "q4_k",  "q6_k", "sparse_fixed", "sparse_entropy"};
  return detail::word(words, "weight format", value);
}

inline std::string kv_format(uint32_t value) {
  static const char* const words[] = {
      nullptr, "f32", "f16", "bf16", "i8_token", "i8_channel", "i8_head"};
  return detail::word(words, "kv format", value);
}

inline std::string plane_role(uint32_t value) {
  static const char* const words[] = {
      nullptr,     "codes",       "scale",
      "scale2",    "zero_point",  "min",
      "index",     "permutation", "input_multiplier",
      "act_scale", "act_inv",     "act_zero_point",
      "quant_bias"};
  return detail::word(words, "plane", value);
}

inline std::string act_quant(uint32_t value) {
  static const char* const words[] = {"float",      "i8_dynamic", "i8_static",
                                      "u8_static",  "i8_mix",     "i4_dynamic",
                                      "f8_dynamic", "q8"};
  return detail::word(words, "act_quant", value);
}

inline std::string activation(uint32_t value) {
  static const char* const words[] = {"none", "silu", "gelu_erf", "gelu_tanh"};
  return detail::word(words, "activation", value);
}

inline std::string mask(uint32_t value) {
  static const char* const words[] = {"causal", "full", "sliding"};
  return detail::word(words, "mask", value);
}

inline std::string rope_style(uint32_t value) {
  static const char* const words[] = {"none", "half", "interleaved"};
  return detail::word(words, "rope style", value);
}

}  // namespace tessera::sdk::names
