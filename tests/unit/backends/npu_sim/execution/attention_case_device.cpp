// SPDX-License-Identifier: Apache-2.0
//
// The step as a compiled stream finds it: blocks of a sequence one after
// another, as columns.

#include <algorithm>
#include <cstring>

#include "backends/npu_sim/compiler/gemm/tiles.hpp"
#include "backends/npu_sim/simulation/simulate.hpp"
#include "tests/unit/backends/npu_sim/execution/attention_case.hpp"

namespace tessera::npu {
namespace {

template <typename Value>
std::vector<uint8_t> bytes_of(const std::vector<Value>& values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(Value));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::vector<uint8_t>& tensor(Memory& memory, Tensor name) {
  return memory.tensors[static_cast<uint64_t>(name)];
}

}  // namespace

// Columns of 32 bytes; of codes that will be widened, of 16 dims.
std::vector<uint8_t> AttentionCase::cache(KvPart part) const {
  const bool is_key = part == KvPart::kKey;
  const int64_t dims = is_key ? attention_.qk_dim : attention_.v_dim;
  const int64_t wide = attention_.kv == KvType::kFa3 ? 32 : 16;
  const int64_t columns = ceil_div(dims, wide);
  const int64_t block = attention_.block_size;
  const int64_t rows = blocks_per_seq_ * block;
  const int64_t heads = attention_.num_kv_heads;
  const auto sequences = static_cast<int64_t>(seq_lens_.size());
  std::vector<uint8_t> bytes(static_cast<size_t>(
      sequences * heads * rows * columns * wide * code_bytes()));
  const std::vector<uint16_t>& codes = codes_.at(static_cast<size_t>(part));
  for (int64_t i = 0; i < sequences * heads * rows; ++i) {
    const int64_t key = i % rows;
    const int64_t at = slot(i / rows / heads, key) * heads + i / rows % heads;
    const int64_t first = i / rows * rows + key / block * block;
    for (int64_t d = 0; d < dims; ++d) {
      const int64_t beat = first * columns + d / wide * block + key % block;
      std::memcpy(
          &bytes[static_cast<size_t>((beat * wide + d % wide) * code_bytes())],
          &codes[static_cast<size_t>(at * attention_.qk_dim + d)],
          static_cast<size_t>(code_bytes()));
    }
  }
  return bytes;
}

// By token: keys of a sequence and head one after another; else by head and
// dim.
std::vector<float> AttentionCase::device_scales(KvPart part) const {
  const auto number = static_cast<size_t>(part);
  const int64_t heads = attention_.num_kv_heads;
  std::vector<float> scales;
  if (attention_.kv == KvType::kS8Channel) {
    const int64_t dims =
        part == KvPart::kKey ? attention_.qk_dim : attention_.v_dim;
    const int64_t first = static_cast<int64_t>(part) * heads;
    for (int64_t i = 0; i < heads * dims; ++i) {
      scales.push_back(kv_scale_[static_cast<size_t>(
          (first + i / dims) * attention_.qk_dim + i % dims)]);
    }
    return scales;
  }
  const int64_t rows = blocks_per_seq_ * attention_.block_size;
  for (int64_t i = 0; i < static_cast<int64_t>(seq_lens_.size()) * heads * rows;
       ++i) {
    const int64_t at =
        slot(i / rows / heads, i % rows) * heads + i / rows % heads;
    scales.push_back(token_scales_.at(number)[static_cast<size_t>(at)]);
  }
  return scales;
}

void AttentionCase::lay_out(Memory& memory) const {
  tensor(memory, Tensor::kInput) = bytes_of(q_);
  tensor(memory, Tensor::kWeight) = cache(KvPart::kKey);
  tensor(memory, Tensor::kKeyScales) = bytes_of(device_scales(KvPart::kKey));
  if (!attention_.v_in_k) {
    tensor(memory, Tensor::kOther) = cache(KvPart::kValue);
    tensor(memory, Tensor::kValueScales) =
        bytes_of(device_scales(KvPart::kValue));
  }
  memory.attention.scale = kSoftmaxScale;
  memory.attention.group = plan_->group();
  memory.attention.causal = attention_.causal;
  memory.attention.window = attention_.window;
  memory.attention.q_inverse = q_inverse_;
  memory.attention.thresholds = thresholds_;
  for (int64_t head = 0; head < attention_.num_kv_heads; ++head) {
    memory.attention.value_scales.push_back(
        kv_scale_[static_cast<size_t>(attention_.num_kv_heads + head)]);
  }
}

// What no instruction writes must not be read, so it is filled with NaN.
void AttentionCase::lay_out_workspace(Memory& memory) const {
  const auto add = [&](Tensor name, int64_t bytes) {
    tensor(memory, name).assign(static_cast<size_t>(bytes), 0xFF);
  };
  add(Tensor::kOutput, static_cast<int64_t>(output_size()) * 2);
  const int64_t area = round_up(
      plan_->tile_rows * std::max(plan_->tile_keys, attention_.v_dim) * 4, 512);
  add(Tensor::kAccumulators, plan_->cores * 3 * plan_->num_places() * area);
  const int64_t partials = plan_->num_splits * plan_->num_rows();
  add(Tensor::kPartials, partials * attention_.v_dim * 4);
  add(Tensor::kScales, 2 * partials * 4);
  const bool is_whole = plan_->widening == Widening::kOnce;
  const int64_t tiles = static_cast<int64_t>(seq_lens_.size()) *
                        attention_.num_kv_heads * plan_->tiles_of_cache();
  add(Tensor::kWideWeight,
      (is_whole ? tiles : plan_->cores * plan_->key_places()) *
          plan_->wide_key_bytes());
  add(Tensor::kWideValues,
      (is_whole ? tiles : plan_->cores * plan_->value_places()) *
          plan_->wide_value_bytes());
  add(Tensor::kCodes, plan_->num_rows() * attention_.qk_dim);
  add(Tensor::kMarks, plan_->num_rows() * 32);
}

std::vector<uint16_t> AttentionCase::instructions() {
  Memory memory;
  lay_out(memory);
  lay_out_workspace(memory);
  execute(profile_, compile(profile_, attention_, {}), memory);
  std::vector<uint16_t> bits(output_size());
  std::memcpy(bits.data(), tensor(memory, Tensor::kOutput).data(),
              bits.size() * 2);
  return bits;
}

}  // namespace tessera::npu
