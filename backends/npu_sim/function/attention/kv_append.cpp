// SPDX-License-Identifier: Apache-2.0
//
// Compiled without FMA contraction.

#include "backends/npu_sim/function/attention/kv_append.hpp"

#include <cstring>
#include <string>
#include <vector>

#include "backends/npu_sim/function/activation.hpp"
#include "backends/npu_sim/function/rotate.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw sdk::Error(TSR_INVALID_ARGUMENT, "kv_append: " + why);
}

void check(const KvAppend& op) {
  const KvLayout& layout = op.pool.layout;
  if (layout.has_static_scales() && op.kv_inv == nullptr) {
    refuse("kv_inv is missing for an int8 cache with static scales");
  }
  const int64_t slots = layout.num_blocks * layout.block_size;
  for (int64_t t = 0; t < op.num_tokens; ++t) {
    if (op.slot_mapping[t] < 0) continue;
    if (op.slot_mapping[t] >= slots) {
      refuse("slot " + std::to_string(op.slot_mapping[t]) + " of token " +
             std::to_string(t) + ", the pool has " + std::to_string(slots));
    }
    if (op.style == TSR_ROPE_NONE) continue;
    if (op.positions[t] < 0 || op.positions[t] >= op.max_positions) {
      refuse("position " + std::to_string(op.positions[t]) + " of token " +
             std::to_string(t) + ", the table has " +
             std::to_string(op.max_positions));
    }
  }
}

// Stores the elements of one head, as the pool's format has them.
void store_head(const KvAppend& op, KvPart part, int64_t slot, int64_t head,
                const float* x) {
  const KvLayout& layout = op.pool.layout;
  std::byte* row = op.pool.codes(part, slot, head);
  const int64_t D = layout.head_dim;
  switch (layout.format) {
    case TSR_KV_F32:
      return store_row({row, TSR_F32, 0}, 0, 0, D, x);
    case TSR_KV_F16:
      return store_row({row, TSR_F16, 0}, 0, 0, D, x);
    case TSR_KV_BF16:
      return store_row({row, TSR_BF16, 0}, 0, 0, D, x);
    default:
      break;
  }
  std::vector<int16_t> codes(static_cast<size_t>(D));
  if (layout.format == TSR_KV_I8_TOKEN) {
    const float scale = quantize_dynamic(x, D, 127, codes.data());
    std::memcpy(op.pool.token_scale(part, slot, head), &scale, sizeof(scale));
  } else {
    const float* inv = op.kv_inv + op.pool.static_scale_index(part, head);
    const int64_t step = layout.format == TSR_KV_I8_CHANNEL ? 1 : 0;
    for (int64_t i = 0; i < D; ++i) {
      const float product = x[i] * inv[i * step];
      codes[static_cast<size_t>(i)] =
          static_cast<int16_t>(round_to_code(product, 0, -127, 127));
    }
  }
  for (int64_t i = 0; i < D; ++i) {
    row[i] = static_cast<std::byte>(codes[static_cast<size_t>(i)]);
  }
}

void append_token(const KvAppend& op, int64_t t, std::vector<float>& row) {
  const KvLayout& layout = op.pool.layout;
  const int64_t width = layout.num_kv_heads * layout.head_dim;
  for (const KvPart part : {KvPart::kKey, KvPart::kValue}) {
    load_row(part == KvPart::kKey ? op.k : op.v, t, 0, width, row.data());
    for (int64_t h = 0; h < layout.num_kv_heads; ++h) {
      float* head = row.data() + h * layout.head_dim;
      if (part == KvPart::kKey && op.style != TSR_ROPE_NONE) {
        rotate_head(op.style, op.rotary_dim,
                    op.table + op.positions[t] * op.rotary_dim, head);
      }
      store_head(op, part, op.slot_mapping[t], h, head);
    }
  }
}

}  // namespace

void kv_append(const KvAppend& op, const Parallel& parallel) {
  check(op);
  const KvLayout& layout = op.pool.layout;
  const uint32_t count = num_tasks(op.num_tokens);
  parallel.run(count, [&](uint32_t task) {
    std::vector<float> row(
        static_cast<size_t>(layout.num_kv_heads * layout.head_dim));
    const UnitRange range = units_of(op.num_tokens, task, count);
    for (int64_t t = range.begin; t < range.end; ++t) {
      if (op.slot_mapping[t] >= 0) append_token(op, t, row);
    }
  });
}

}  // namespace tessera::npu
