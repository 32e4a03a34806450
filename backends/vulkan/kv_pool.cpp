// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/kv_pool.hpp"

#include <string>
#include <utility>

#include "tessera/error.hpp"
#include "tessera/kv_layout.hpp"

namespace tessera::vulkan {
namespace {

uint64_t align64(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

// Parts of all blocks together need no more than those of each: what is rounded
// up to 64 bytes is their sum.
KvRows make_rows(const tsr_kv_desc& desc) {
  const uint64_t count =
      uint64_t{desc.num_kv_heads} * desc.num_blocks * desc.block_size;
  KvRows rows;
  rows.format = static_cast<int32_t>(desc.format);
  rows.num_kv_heads = static_cast<int32_t>(desc.num_kv_heads);
  rows.block_size = static_cast<int32_t>(desc.block_size);
  rows.num_blocks = static_cast<int32_t>(desc.num_blocks);
  rows.row_bytes = uint64_t{desc.head_dim} * sdk::kv_code_bytes(desc.format);
  rows.v_offset = align64(count * rows.row_bytes);
  if (desc.format == TSR_KV_I8_TOKEN) {
    rows.k_scale_offset = 2 * rows.v_offset;
    rows.v_scale_offset = rows.k_scale_offset + align64(count * sizeof(float));
  }
  return rows;
}

}  // namespace

// What a block has of a part and a head.
struct KvPool::Piece {
  uint64_t own;        // from the pool's begin
  uint64_t canonical;  // from the canonical block's
  uint64_t bytes;
};

KvPool::KvPool(const tsr_kv_desc& desc, std::shared_ptr<Buffer> buffer,
               uint64_t offset)
    : desc_(desc),
      buffer_(std::move(buffer)),
      offset_(offset),
      block_bytes_(sdk::make_kv_place(desc).block_bytes) {
  desc_.next = nullptr;
  rows_ = make_rows(desc);
  buffer_->require_range(offset, bytes());
  rows_.begin = buffer_->address() + offset;
}

std::vector<KvPool::Piece> KvPool::pieces_of(uint32_t block) const {
  if (block >= desc_.num_blocks) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "block " + std::to_string(block) + " of " +
                         std::to_string(desc_.num_blocks));
  }
  const sdk::KvPlace canonical = sdk::make_kv_place(desc_);
  std::vector<Piece> pieces;
  const auto add = [&](uint64_t own, uint64_t place, uint64_t row_bytes) {
    const uint64_t bytes = desc_.block_size * row_bytes;
    for (uint64_t head = 0; head < desc_.num_kv_heads; ++head) {
      pieces.push_back({own + (head * desc_.num_blocks + block) * bytes,
                        place + head * bytes, bytes});
    }
  };
  add(0, 0, rows_.row_bytes);
  add(rows_.v_offset, canonical.v_offset, rows_.row_bytes);
  if (desc_.format == TSR_KV_I8_TOKEN) {
    add(rows_.k_scale_offset, canonical.k_scale_offset, sizeof(float));
    add(rows_.v_scale_offset, canonical.v_scale_offset, sizeof(float));
  }
  return pieces;
}

std::vector<BufferCopy> KvPool::copies_within(uint32_t from,
                                              uint32_t to) const {
  const std::vector<Piece> source = pieces_of(from);
  const std::vector<Piece> target = pieces_of(to);
  std::vector<BufferCopy> copies;
  for (size_t i = 0; i < source.size() && from != to; ++i) {
    copies.push_back({{buffer_.get(), offset_ + source[i].own},
                      {buffer_.get(), offset_ + target[i].own},
                      source[i].bytes});
  }
  return copies;
}

std::vector<BufferCopy> KvPool::copies_out(uint32_t block,
                                           BufferRange canonical) const {
  canonical.buffer->require_range(canonical.offset, block_bytes_);
  std::vector<BufferCopy> copies;
  for (const Piece& piece : pieces_of(block)) {
    copies.push_back({{buffer_.get(), offset_ + piece.own},
                      {canonical.buffer, canonical.offset + piece.canonical},
                      piece.bytes});
  }
  return copies;
}

std::vector<BufferCopy> KvPool::copies_in(uint32_t block,
                                          BufferRange canonical) const {
  std::vector<BufferCopy> copies = copies_out(block, canonical);
  for (BufferCopy& copy : copies) std::swap(copy.from, copy.to);
  return copies;
}

}  // namespace tessera::vulkan
