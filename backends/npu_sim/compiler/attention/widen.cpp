// SPDX-License-Identifier: Apache-2.0
//
// Tiles of an int8 cache on their way to the cube, a few columns at a time:
// codes to UB, times their scales there, and on to L1; or, where cube and
// vector cores have no nearer place in common, to a workspace in GM that is
// small enough to stay in L2.

#include <algorithm>

#include "backends/npu_sim/compiler/attention/emitter.hpp"
#include "backends/npu_sim/compiler/attention/flags.hpp"
#include "backends/npu_sim/compiler/attention/lowering.hpp"
#include "backends/npu_sim/compiler/gemm/layout.hpp"
#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kColumnDims = 16;

int64_t columns_of(const Attention& attention, CachePart part) {
  return ceil_div(part == CachePart::kKeys ? attention.qk_dim : attention.v_dim,
                  kColumnDims);
}

}  // namespace

int64_t AttentionEmitter::num_places(CachePart part) const {
  return part == CachePart::kKeys ? plan_.key_places() : plan_.value_places();
}

int64_t AttentionEmitter::wide_place(const KeyTile& tile,
                                     CachePart part) const {
  const bool is_key = part == CachePart::kKeys;
  const int64_t bytes =
      is_key ? plan_.wide_key_bytes() : plan_.wide_value_bytes();
  if (!widens_ahead()) {
    const AttentionWork& work = *tile.work;
    const int64_t head =
        work.sequence * plan_.attention.num_kv_heads + work.kv_head;
    return (head * plan_.tiles_of_cache() + tile.begin / plan_.tile_keys) *
           bytes;
  }
  const int64_t place = tile.index % num_places(part);
  if (!is_unified()) return (tile.core * num_places(part) + place) * bytes;
  const int64_t keys = is_key ? 0 : plan_.key_places() * plan_.wide_key_bytes();
  return query_bytes_ + kBuffers * weight_bytes_ + keys + place * bytes;
}

// Bytes of a column; a tile of the cache is as long as its sequence lets it be.
int64_t AttentionEmitter::wide_pitch(const KeyTile& tile) const {
  if (widens_ahead()) return packet_pitch(tile.keys);
  const int64_t keys =
      plan_.attention.seq_lens[static_cast<size_t>(tile.work->sequence)];
  return packet_pitch(std::min(plan_.tile_keys, keys - tile.begin));
}

// Each place has one in a unified core; between cores they come in order.
int64_t AttentionEmitter::wide_flag(const KeyTile& tile, CachePart part) const {
  const bool is_key = part == CachePart::kKeys;
  if (!is_unified()) return is_key ? kWideFlag : kWideFlag + 1;
  return (is_key ? kWideKeyFlag : kWideValueFlag) +
         tile.index % num_places(part);
}

void AttentionEmitter::take_wide(const KeyTile& tile, CachePart part) {
  const int64_t flag = wide_flag(tile, part);
  if (is_unified()) return out_.wait(Pipe::kMte3, Pipe::kMte1, flag);
  for (int64_t sibling = 1; sibling <= 2; ++sibling) {
    out_.wait_sibling(Pipe::kMte3, Pipe::kMte2, flag, sibling);
  }
}

void AttentionEmitter::free_wide(const KeyTile& tile, CachePart part) {
  const int64_t flag = wide_flag(tile, part);
  if (is_unified()) return out_.set(Pipe::kMte1, Pipe::kMte3, flag);
  if (tile.index + num_places(part) >= tile.count) return;
  for (int64_t sibling = 1; sibling <= 2; ++sibling) {
    out_.set_sibling(Pipe::kMte2, Pipe::kMte3, flag, sibling);
  }
}

// Codes and scales of a packet to UB offset `at`.  Codes lie in columns of 16,
// as what they become does.
void AttentionEmitter::load_codes(const KeyTile& tile, CachePart part,
                                  const Packet& packet, int64_t at) {
  const Attention& attention = plan_.attention;
  const bool is_key = part == CachePart::kKeys;
  const int64_t dims = is_key ? attention.qk_dim : attention.v_dim;
  const int64_t columns = ceil_div(dims, kColumnDims);
  const int64_t block = attention.block_size;
  const int64_t first = packet.dim / kColumnDims;
  const int64_t count = ceil_div(packet.dims, kColumnDims);
  const int64_t sequence = cache_row(tile);
  const Tensor codes = is_key ? Tensor::kWeight : Tensor::kOther;
  const Tensor scales = is_key ? Tensor::kKeyScales : Tensor::kValueScales;
  const int64_t pitch = packet_pitch(tile.keys) / 2;
  const int64_t scales_at = at + 3 * count * pitch;
  for (int64_t key = tile.begin; key < tile.begin + tile.keys;) {
    const int64_t in_block = key % block;
    const int64_t keys =
        std::min(tile.begin + tile.keys - key, block - in_block);
    const int64_t row = (sequence + key - in_block) * columns + first * block;
    Instruction& copy =
        out_.copy_in(Space::kUb, at + (key - tile.begin) * kColumnDims,
                     {gm_address(codes, (row + in_block) * kColumnDims), count,
                      keys * kColumnDims, block * kColumnDims});
    copy.pitch = static_cast<uint32_t>(pitch);
    copy.type = Type::kS8;
    if (attention.kv == KvType::kS8) {
      out_.copy_in(Space::kUb, scales_at + (key - tile.begin) * kFloatBytes,
                   {gm_address(scales, (sequence + key) * kFloatBytes), 1,
                    keys * kFloatBytes, keys * kFloatBytes});
    }
    key += keys;
  }
  if (attention.kv != KvType::kS8Channel) return;
  const int64_t scale = tile.work->kv_head * dims + packet.dim;
  out_.copy_in(Space::kUb, scales_at,
               {gm_address(scales, scale * kFloatBytes), 1,
                packet.dims * kFloatBytes, packet.dims * kFloatBytes});
}

void AttentionEmitter::widen_columns(const KeyTile& tile, CachePart part,
                                     int64_t column, int64_t count) {
  const Attention& attention = plan_.attention;
  const int64_t buffer = widened_++ % plan_.widening_depth;
  const int64_t at =
      (widens_ahead() ? spare_ub() : 0) + buffer * plan_.widening_bytes();
  const int64_t flag = kWidenFlag + buffer;
  const int64_t pitch = packet_pitch(tile.keys);
  const int64_t all =
      part == CachePart::kKeys ? attention.qk_dim : attention.v_dim;
  const int64_t dim = column * kColumnDims;
  out_.wait(Pipe::kMte3, Pipe::kMte2, flag);
  load_codes(tile, part,
             {0, tile.keys, dim, std::min(count * kColumnDims, all - dim)}, at);
  out_.set(Pipe::kMte2, Pipe::kVector, flag);
  out_.wait(Pipe::kMte2, Pipe::kVector, flag);
  const int64_t wide = at + count * pitch / 2;
  const int64_t n = pitch / bytes_of_elements(plan_.cube, 1);
  for (int64_t i = 0; i < kWidenPasses; ++i) {
    // The first makes 16 bits of 8; the others work in 32.
    const double bytes = i == 0 ? 2 : kFloatBytes;
    Instruction& one =
        out_.vector(wide, count * n, profile_.vector.bytes_per_cycle / bytes);
    one.m = static_cast<uint32_t>(count);
    one.n = static_cast<uint32_t>(n);
    one.type = Type::kS8;
    one.out_type = plan_.cube;
    one.src = static_cast<uint64_t>(at);
    one.scales = static_cast<uint32_t>(at + 3 * count * pitch / 2);
    one.k = attention.kv == KvType::kS8 ? 0 : 1;
    one.function = i == 0 ? VectorFunction::kWidenCache : VectorFunction::kPart;
  }
  out_.set(Pipe::kVector, Pipe::kMte3, flag);
  out_.wait(Pipe::kVector, Pipe::kMte3, flag);
  const int64_t target = wide_place(tile, part) + column * pitch;
  const Tensor tensor =
      part == CachePart::kKeys ? Tensor::kWideWeight : Tensor::kWideValues;
  Instruction& copy =
      out_.copy_out(wide, {plan_.keeps_cache() ? static_cast<uint64_t>(target)
                                               : gm_address(tensor, target),
                           1, count * pitch, count * pitch});
  if (plan_.keeps_cache()) copy.dst_space = Space::kL1;
  out_.set(Pipe::kMte3, Pipe::kMte2, flag);
}

void AttentionEmitter::widen(const KeyTile& tile, CachePart part,
                             int64_t sibling) {
  const int64_t columns = columns_of(plan_.attention, part);
  const int64_t half = is_unified() ? columns : ceil_div(columns, 2);
  const int64_t begin = sibling == 2 ? half : 0;
  const int64_t end = sibling == 2 ? columns : half;
  const int64_t flag = wide_flag(tile, part);
  if (is_unified()) {
    out_.wait(Pipe::kMte1, Pipe::kMte3, flag);
  } else if (tile.index >= num_places(part)) {
    out_.wait_sibling(Pipe::kMte2, Pipe::kMte3, flag, 0);
  }
  const int64_t most = plan_.widened_columns();
  for (int64_t column = begin; column < end; column += most) {
    widen_columns(tile, part, column, std::min(most, end - column));
  }
  if (is_unified()) {
    out_.set(Pipe::kMte3, Pipe::kMte1, flag);
  } else {
    out_.set_sibling(Pipe::kMte3, Pipe::kMte2, flag, 0);
  }
}

void AttentionEmitter::widen_cache(int64_t lane, int64_t num_lanes) {
  const Attention& attention = plan_.attention;
  for (int64_t b = 0; b < plan_.widening_depth; ++b) {
    out_.set(Pipe::kMte3, Pipe::kMte2, kWidenFlag + b);
  }
  int64_t count = 0;
  const auto share = [&](const KeyTile& tile, CachePart part) {
    const int64_t columns = columns_of(attention, part);
    const int64_t most = plan_.widened_columns();
    for (int64_t at = 0; at < columns; at += most) {
      if (count++ % num_lanes != lane) continue;
      widen_columns(tile, part, at, std::min(most, columns - at));
    }
  };
  for (size_t s = 0; s < attention.seq_lens.size(); ++s) {
    const int64_t keys = attention.seq_lens[s];
    const int64_t tiles = ceil_div(keys, plan_.tile_keys);
    for (int64_t i = 0; i < tiles * attention.num_kv_heads; ++i) {
      AttentionWork work;
      work.sequence = static_cast<int64_t>(s);
      work.kv_head = i / tiles;
      KeyTile tile;
      tile.work = &work;
      tile.begin = i % tiles * plan_.tile_keys;
      tile.keys = std::min(plan_.tile_keys, keys - tile.begin);
      share(tile, CachePart::kKeys);
      if (!attention.v_in_k) share(tile, CachePart::kValues);
    }
  }
  for (int64_t b = 0; b < plan_.widening_depth; ++b) {
    out_.wait(Pipe::kMte3, Pipe::kMte2, kWidenFlag + b);
  }
}

// From the workspace, where a tile is as large as it was widened.
void AttentionEmitter::load_wide_packet(const KeyTile& tile, CachePart part,
                                        const Packet& packet) {
  const Tensor tensor =
      part == CachePart::kKeys ? Tensor::kWideWeight : Tensor::kWideValues;
  const int64_t pitch = wide_pitch(tile);
  const int64_t first = wide_place(tile, part) +
                        packet.dim / kColumnDims * pitch +
                        packet.key * kBeatBytes;
  const int64_t flag = kPacketFlag + packets_ % plan_.num_packets;
  out_.wait(Pipe::kMte1, Pipe::kMte2, flag);
  Instruction& copy = out_.copy_in(
      Space::kL1, packet_place(),
      {gm_address(tensor, first), ceil_div(packet.dims, kColumnDims),
       packet.keys * kBeatBytes, pitch});
  copy.pitch = static_cast<uint32_t>(packet_pitch(packet.keys));
  copy.type = plan_.cube;
  out_.set(Pipe::kMte2, Pipe::kMte1, flag);
  out_.wait(Pipe::kMte2, Pipe::kMte1, flag);
}

}  // namespace tessera::npu
