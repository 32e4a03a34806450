// SPDX-License-Identifier: Apache-2.0
//
// What comes to L1 from GM: queries, packets of K and V, weights.

#include <algorithm>

#include "backends/npu_sim/compiler/attention/emitter.hpp"
#include "backends/npu_sim/compiler/attention/flags.hpp"
#include "backends/npu_sim/compiler/gemm/layout.hpp"
#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {

int64_t AttentionEmitter::packet_place() const {
  return query_bytes_ + kBuffers * weight_bytes_ +
         packets_ % plan_.num_packets * plan_.packet_bytes;
}

// Sequences and heads lie one after another, each with room for the longest.
int64_t AttentionEmitter::cache_row(const KeyTile& tile) const {
  const Attention& attention = plan_.attention;
  const int64_t most =
      *std::max_element(attention.seq_lens.begin(), attention.seq_lens.end());
  const int64_t head =
      tile.work->sequence * attention.num_kv_heads + tile.work->kv_head;
  return head * round_up(most, attention.block_size);
}

// One transfer for each block of the cache.  A block lies column by column of
// 32 bytes, so the columns of a packet lie together.
void AttentionEmitter::load_packet(const KeyTile& tile, CachePart part,
                                   const Packet& packet) {
  if (plan_.widening != Widening::kNone) {
    return load_wide_packet(tile, part, packet);
  }
  const Attention& attention = plan_.attention;
  const bool in_keys = part == CachePart::kKeys || attention.v_in_k;
  const Tensor tensor = in_keys ? Tensor::kWeight : Tensor::kOther;
  const int64_t block = attention.block_size;
  const int64_t columns =
      cache_columns(in_keys ? attention.qk_dim : attention.v_dim);
  const int64_t first = packet.dim / fractal_k(plan_.cube);
  const int64_t count = cache_columns(packet.dims);
  const int64_t flag = kPacketFlag + packets_ % plan_.num_packets;
  const int64_t sequence = cache_row(tile);
  out_.wait(Pipe::kMte1, Pipe::kMte2, flag);
  const int64_t begin = tile.begin + packet.key;
  const int64_t end = begin + packet.keys;
  for (int64_t at = begin; at < end;) {
    const int64_t in_block = at % block;
    const int64_t keys = std::min(end - at, block - in_block);
    const int64_t beat =
        (sequence + at - in_block) * columns + first * block + in_block;
    Instruction& copy =
        out_.copy_in(Space::kL1, packet_place() + (at - begin) * kBeatBytes,
                     {gm_address(tensor, beat * kBeatBytes), count,
                      keys * kBeatBytes, block * kBeatBytes});
    copy.pitch = static_cast<uint32_t>(packet_pitch(packet.keys));
    copy.type = plan_.cube;
    at += keys;
  }
  out_.set(Pipe::kMte2, Pipe::kMte1, flag);
  out_.wait(Pipe::kMte2, Pipe::kMte1, flag);
}

void AttentionEmitter::free_packet() {
  out_.set(Pipe::kMte1, Pipe::kMte2,
           kPacketFlag + packets_ % plan_.num_packets);
  ++packets_;
}

void AttentionEmitter::query(const KeyTile& tile) {
  const int64_t row_bytes =
      bytes_of_elements(plan_.cube, plan_.attention.qk_dim);
  const Tensor tensor = plan_.is_integer() ? Tensor::kCodes : Tensor::kInput;
  out_.wait(Pipe::kMte1, Pipe::kMte2, kQueryFlag);
  for (const RowRun& run :
       row_runs(plan_, *tile.work, tile.work->row, tile.work->rows)) {
    Instruction& copy =
        out_.copy_in(Space::kL1, (run.row - tile.work->row) * kBeatBytes,
                     {gm_address(tensor, run.place * row_bytes), run.rows,
                      row_bytes, run.stride * row_bytes});
    copy.nd_to_nz = true;
    copy.pitch = static_cast<uint32_t>(packet_pitch(tile.work->rows));
    copy.type = plan_.cube;
  }
  out_.set(Pipe::kMte2, Pipe::kMte1, kQueryFlag);
  out_.wait(Pipe::kMte2, Pipe::kMte1, kQueryFlag);
}

// Brings the weights of the tile to L1, from both vector cores.
void AttentionEmitter::load_weights(const KeyTile& tile) {
  const int64_t buffer = tile.index % kBuffers;
  if (is_unified()) {
    out_.wait(Pipe::kMte3, Pipe::kMte1, kWeightFlag + buffer);
    return;
  }
  out_.wait(Pipe::kMte1, Pipe::kMte2, kWeightFlag + buffer);
  const int64_t row_bytes = bytes_of_elements(plan_.cube, tile.keys);
  int64_t row = 0;
  for (int64_t sibling = 1; sibling <= 2; ++sibling) {
    out_.wait_sibling(Pipe::kMte3, Pipe::kMte2, kWeightFlag, sibling);
    const int64_t rows = lane_rows(tile, sibling);
    if (rows > 0) {
      Instruction& copy =
          out_.copy_in(Space::kL1, weight_place(tile.index) + row * kBeatBytes,
                       between(1, tile, row, rows, row_bytes));
      copy.nd_to_nz = true;
      copy.pitch = static_cast<uint32_t>(packet_pitch(tile.work->rows));
    }
    row += rows;
  }
  out_.set(Pipe::kMte2, Pipe::kMte1, kWeightFlag + buffer);
  out_.wait(Pipe::kMte2, Pipe::kMte1, kWeightFlag + buffer);
}

}  // namespace tessera::npu
