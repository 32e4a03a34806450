// SPDX-License-Identifier: Apache-2.0
//
// Static scales of int8 attention and KV caches: per head with a recall window
// (fa3, I8_HEAD) and per channel (I8_CHANNEL).  I8_TOKEN needs none: kv_append
// computes its scales.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/quant/activations/input_statistics.hpp"

namespace tessera::quant {

// Streams q, k or v after RoPE.
//
// Of each batch and head the shortest range that holds ceil(recall * n) of the
// n values counts; the ranges of all batches are united.  So a batch should be
// one call: recall 0.9999 drops values only from batches of 10,000 a head.
//
// Source  FA3 quantization of msModelSlim ("recall window", 0.9999)
class HeadObserver {
 public:
  // Errors  INVALID_ARGUMENT if a size is 0 or recall is not in (0, 1]
  static Result<HeadObserver> create(uint32_t num_heads, uint32_t head_dim,
                                     double recall = 0.9999);

  // Takes [num_tokens, num_heads, head_dim].
  //
  // Errors  INVALID_ARGUMENT if the size does not fit, or, naming token and
  //         head, for NaN or infinity; then nothing of this batch counts
  Status add(std::span<const float> batch);

  // absmax / 127 per head; 1 for a head whose absmax is below 2^-100.
  //
  // Errors  FAILED_PRECONDITION without a batch
  Result<std::vector<float>> scales() const;

 private:
  HeadObserver(uint32_t num_heads, uint32_t head_dim, double recall)
      : num_heads_(num_heads),
        head_dim_(head_dim),
        recall_(recall),
        abs_max_(num_heads) {}

  uint32_t num_heads_;
  uint32_t head_dim_;
  double recall_;
  uint64_t num_tokens_ = 0;
  std::vector<float> abs_max_;
};

// One scale and zero point per KV channel, codes -128 .. 127.
struct ChannelScales {
  std::vector<float> scale;         // [num_kv_heads * head_dim]
  std::vector<int32_t> zero_point;  // likewise; all 0 if symmetric
};

// Scales of K (after RoPE) or V, whose statistics have a column per channel.
// I8_CHANNEL pools are symmetric; msModelSlim's C8 files may not be.
//
// Errors  FAILED_PRECONDITION without rows
Result<ChannelScales> choose_channel_scales(const ColumnStatistics& seen,
                                            bool symmetric);

}  // namespace tessera::quant
