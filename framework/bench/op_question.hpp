// SPDX-License-Identifier: Apache-2.0
//
// One op to be timed: kind, shapes and types, whatever the device.

#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera::bench {

// "4096x512" as sizes; at least 1 each.
// Errors: INVALID_ARGUMENT unless there are `count` of them.
Result<std::vector<int64_t>> parse_sizes(const std::string& text, size_t count);

// Products of so many rows are timed as decoding, of more as prefill, where a
// scheme tells these apart.
inline constexpr uint32_t kMaxDecodeRows = 32;

// Fields that an op has no use for are ignored.
struct OpQuestion {
  // Any device: linear, attention, add, silu_mul, gelu, rms_norm, layer_norm,
  // softmax, rope, embedding, copy, upload, download.  Simulated ones: all of
  // these but the last two, and grouped_linear
  std::string op = "linear";
  std::string scheme = "w16a16";
  std::string type;            // of add and copy, and a product's result
  std::vector<int64_t> shape;  // M N K, or rows columns
  std::vector<int64_t> rows;   // grouped_linear: M of each group
  std::vector<int64_t> tile;   // copy: rows columns; linear: m n k, if forced
  std::string weights;         // "nd" or "nz"
  bool transpose_a = false;
  bool weight_is_kn = false;
  int64_t group_size = 0;
  double compression = 0;  // w8a8sc: stored bytes over s8 bytes; 0: 1
  bool bank_conflicts = false;
  std::string target;  // copy: "ub" or "l1"
  bool nd_to_nz = false;
  int64_t repeats = 1;
  int64_t cores = 0;
  bool cold = false;  // weights, or KV caches, come from memory
  // attention
  int64_t batch = 1;
  int64_t q_len = 1;
  int64_t kv_len = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;  // 0: heads
  int64_t head_dim = 128;
  int64_t v_dim = 0;  // 0: head_dim
  bool v_in_k = false;
  std::string kv;  // cache type
};

// Whether `op` is a product with a weight: linear or grouped_linear.
bool is_linear(const std::string& op);

// The request of dev.tessera.simulator for it; `files` are paths by kind.
nlohmann::ordered_json simulator_request(
    const OpQuestion& question,
    const std::map<std::string, std::string>& files);

}  // namespace tessera::bench
