// SPDX-License-Identifier: Apache-2.0
//
// Reads and writes canonical KV blocks.  Compiled without FMA contraction.

#include "framework/conformance/reference/attention/kv.hpp"

#include <string>
#include <vector>

#include "framework/conformance/reference/attention/rope.hpp"
#include "framework/conformance/reference/linear/activation.hpp"
#include "framework/format/element.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::reference {
namespace {

bool has_static_scales(uint32_t kv_format) {
  return kv_format == TSR_KV_I8_CHANNEL || kv_format == TSR_KV_I8_HEAD;
}

// Stores one head of one token.
void store_head(const KvAppend& p, const KvPool& pool, KvPart part,
                uint32_t head, uint64_t slot, std::span<const float> x) {
  const tsr_kv_desc& desc = pool.desc();
  std::byte* row = pool.codes(part, slot, head);
  std::vector<int32_t> codes(x.size());
  if (desc.format == TSR_KV_I8_TOKEN) {
    const float scale = quantize_dynamic(x, 127, codes);
    format::store_element(pool.token_scale(part, slot, head), 0, scale);
  }
  for (uint32_t i = 0; i < x.size(); ++i) {
    float value = x[i];
    if (desc.format == TSR_KV_I8_TOKEN) value = static_cast<float>(codes[i]);
    if (has_static_scales(desc.format)) {
      const float product =
          x[i] * p.kv_inv[static_scale_index(desc, part, head, i)];
      value = static_cast<float>(round_to_code(product, 0, -127, 127));
    }
    format::set_element_value(pool.code_dtype(), row, i, value);
  }
}

Status check(const KvAppend& p, const KvPool& pool) {
  if (has_static_scales(pool.desc().format) && p.kv_inv == nullptr) {
    return Status(TSR_INVALID_ARGUMENT, "kv_append: kv format " +
                                            std::to_string(pool.desc().format) +
                                            " needs kv_inv");
  }
  for (uint32_t t = 0; t < p.num_tokens; ++t) {
    if (p.slot_mapping[t] >= 0 &&
        static_cast<uint64_t>(p.slot_mapping[t]) >= pool.num_slots()) {
      return Status(TSR_INVALID_ARGUMENT,
                    "kv_append: slot " + std::to_string(p.slot_mapping[t]) +
                        " of token " + std::to_string(t) + ", the pool has " +
                        std::to_string(pool.num_slots()));
    }
  }
  return {};
}

}  // namespace

Result<KvPool> KvPool::open(const tsr_kv_desc& desc,
                            std::span<std::byte> memory) {
  KvPool pool;
  pool.desc_ = desc;
  TSR_ASSIGN_OR_RETURN(pool.layout_, format::kv_block_layout(desc));
  if (memory.size() / pool.layout_.bytes < desc.num_blocks) {
    return Status(TSR_INVALID_ARGUMENT,
                  "kv pool: " + std::to_string(memory.size()) + " bytes for " +
                      std::to_string(desc.num_blocks) + " blocks of " +
                      std::to_string(pool.layout_.bytes));
  }
  pool.memory_ = memory.data();
  return pool;
}

std::byte* KvPool::codes(KvPart part, uint64_t slot, uint32_t head) const {
  const uint64_t block = slot / desc_.block_size;
  const uint64_t offset = slot % desc_.block_size;
  const uint64_t element =
      (head * uint64_t{desc_.block_size} + offset) * desc_.head_dim;
  return memory_ + block * layout_.bytes +
         (part == KvPart::kKey ? layout_.k_codes : layout_.v_codes) +
         dtype_bytes(layout_.code_dtype, element);
}

std::byte* KvPool::token_scale(KvPart part, uint64_t slot,
                               uint32_t head) const {
  const uint64_t block = slot / desc_.block_size;
  const uint64_t offset = slot % desc_.block_size;
  const uint64_t element = head * uint64_t{desc_.block_size} + offset;
  return memory_ + block * layout_.bytes +
         (part == KvPart::kKey ? layout_.k_scales : layout_.v_scales) +
         element * sizeof(float);
}

void KvPool::read(KvPart part, uint64_t slot, uint32_t head,
                  const float* static_scale, std::span<double> out_row) const {
  const std::byte* row = codes(part, slot, head);
  double scale = 1.0;
  if (desc_.format == TSR_KV_I8_TOKEN) {
    scale = format::load_element<float>(token_scale(part, slot, head), 0);
  }
  for (uint32_t i = 0; i < desc_.head_dim; ++i) {
    if (has_static_scales(desc_.format)) {
      scale = static_scale[static_scale_index(desc_, part, head, i)];
    }
    out_row[i] = format::element_value(layout_.code_dtype, row, i) * scale;
  }
}

size_t static_scale_index(const tsr_kv_desc& desc, KvPart part, uint32_t head,
                          uint32_t i) {
  const size_t row =
      static_cast<size_t>(part) * desc.num_kv_heads + size_t{head};
  return desc.format == TSR_KV_I8_CHANNEL ? row * desc.head_dim + i : row;
}

Status kv_append(const KvAppend& p, const KvPool& pool) {
  TSR_RETURN_IF_ERROR(check(p, pool));
  const tsr_kv_desc& desc = pool.desc();
  const size_t token_size = size_t{desc.num_kv_heads} * desc.head_dim;

  std::vector<float> rotated(p.num_tokens * token_size);
  const Rope rope{p.num_tokens, desc.num_kv_heads, desc.head_dim,   p.k,
                  p.positions,  p.table,           p.max_positions, p.style,
                  p.rotary_dim};
  TSR_RETURN_IF_ERROR(rope_f32(rope, rotated.data()).annotate("kv_append"));

  for (uint32_t t = 0; t < p.num_tokens; ++t) {
    if (p.slot_mapping[t] < 0) continue;
    const auto slot = static_cast<uint64_t>(p.slot_mapping[t]);
    for (uint32_t head = 0; head < desc.num_kv_heads; ++head) {
      const size_t first = t * token_size + size_t{head} * desc.head_dim;
      store_head(p, pool, KvPart::kKey, head, slot,
                 {&rotated[first], desc.head_dim});
      store_head(p, pool, KvPart::kValue, head, slot,
                 {p.v + first, desc.head_dim});
    }
  }
  return {};
}

}  // namespace tessera::reference
