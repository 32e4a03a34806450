// SPDX-License-Identifier: Apache-2.0
//
// A layer's KV cache, head by head: a head's rows of K lie side by side over
// all blocks, so a sequence whose blocks follow each other is read as one
// stream.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "backends/vulkan/runtime/buffer.hpp"
#include "tessera/types.h"

namespace tessera::vulkan {

// What tsr_kv_info says of it; 0 would be the canonical one.
inline constexpr uint64_t kKvLayout = 1;

// Where the parts of a pool lie, each [num_kv_heads, num_blocks, block_size]
// rows, of codes, then scales of 4 bytes; shaders/kv.glsl has the same struct.
struct KvRows {
  uint64_t begin = 0;  // an address
  uint64_t row_bytes = 0;
  uint64_t v_offset = 0;
  uint64_t k_scale_offset = 0;  // I8_TOKEN only, like the next
  uint64_t v_scale_offset = 0;
  int32_t format = 0;
  int32_t num_kv_heads = 0;
  int32_t block_size = 0;
  int32_t num_blocks = 0;
};

class KvPool {
 public:
  // The pool takes num_blocks * block_bytes() from `offset` of the buffer.
  //
  // Errors   throws INVALID_ARGUMENT where the buffer has no such range, or for
  //          a pool that tessera/kv_layout.hpp refuses
  KvPool(const tsr_kv_desc& desc, std::shared_ptr<Buffer> buffer,
         uint64_t offset);

  const tsr_kv_desc& desc() const { return desc_; }
  const KvRows& rows() const { return rows_; }
  const Buffer& buffer() const { return *buffer_; }
  uint64_t offset() const { return offset_; }
  // Of one canonical block.
  uint64_t block_bytes() const { return block_bytes_; }
  // All parts together.
  uint64_t bytes() const { return block_bytes_ * desc_.num_blocks; }

  // What copies block `from` to block `to` of this pool.
  //
  // Errors   throws INVALID_ARGUMENT for blocks that the pool lacks
  std::vector<BufferCopy> copies_within(uint32_t from, uint32_t to) const;
  // What copies `block` to a canonical block elsewhere, or back.
  //
  // Errors   as above
  std::vector<BufferCopy> copies_out(uint32_t block,
                                     BufferRange canonical) const;
  std::vector<BufferCopy> copies_in(uint32_t block,
                                    BufferRange canonical) const;

 private:
  struct Piece;
  std::vector<Piece> pieces_of(uint32_t block) const;

  tsr_kv_desc desc_{};
  KvRows rows_;
  std::shared_ptr<Buffer> buffer_;
  uint64_t offset_ = 0;
  uint64_t block_bytes_ = 0;
};

}  // namespace tessera::vulkan
