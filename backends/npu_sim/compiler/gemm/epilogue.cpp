// SPDX-License-Identifier: Apache-2.0
//
// Three ways out: the fixpipe straight to GM; the fixpipe to GM and from there
// through vector cores; L0C -> UB on the core's own vector pipe.

#include "backends/npu_sim/compiler/gemm/epilogue.hpp"

#include <algorithm>

namespace tessera::npu {
namespace {

constexpr int64_t kFractalRows = 16;
constexpr int64_t kBuffers = 2;
constexpr int64_t kFloatBytes = 4;

FixpipeMode fixpipe_mode(const GemmContext& context) {
  if (context.hands_over() || context.plan.tiling.split_k > 1) {
    return FixpipeMode::kNone;
  }
  const bool is_integer = context.plan.kind.cube == Type::kS8 ||
                          context.plan.kind.cube == Type::kS4;
  switch (context.plan.gemm.out) {
    case Type::kS8:
      return is_integer ? FixpipeMode::kReq8 : FixpipeMode::kQf322B8;
    case Type::kF16:
      return is_integer ? FixpipeMode::kDeqF16 : FixpipeMode::kF16;
    case Type::kBf16:
      return FixpipeMode::kBf16;
    default:
      return FixpipeMode::kNone;
  }
}

Type exit_type(const GemmContext& context) {
  return context.plan.tiling.split_k > 1 ? Type::kF32 : context.plan.gemm.out;
}

// Where chunk `chunk` of a tile lies between the cores: two tiles deep.
Rectangle handed_rectangle(const GemmContext& context, const TileWork& work,
                           int64_t core, int64_t index, int64_t chunk) {
  const int64_t rows = context.layout.epilogue_rows;
  const int64_t row_bytes = context.plan.tiling.tile_n * kFloatBytes;
  const int64_t tile = core * kBuffers + index % kBuffers;
  const int64_t first =
      tile * context.layout.accumulator_bytes + chunk * rows * row_bytes;
  const int64_t m = std::min(rows, work.m - chunk * rows);
  return {gm_address(Tensor::kAccumulators, first), m, work.n * kFloatBytes,
          row_bytes};
}

int64_t num_chunks(const GemmContext& context, const TileWork& work) {
  return ceil_div(work.m, context.layout.epilogue_rows);
}

void emit_fixpipe(const GemmContext& context, const TileWork& work, int64_t l0c,
                  int64_t row, const Rectangle& target, Emitter& out) {
  Instruction& fixpipe = out.fixpipe(l0c + row * kFractalRows * kFloatBytes,
                                     target.rows, work.n, target);
  fixpipe.k = static_cast<uint32_t>(round_up(work.m, kFractalRows));
  fixpipe.fixpipe = fixpipe_mode(context);
  fixpipe.type = sum_type(context.plan);
  fixpipe.src2 = static_cast<uint64_t>(work.column);
}

void emit_handing_over(const GemmContext& context, const TileWork& work,
                       const TileWork* before_previous, int64_t index,
                       int64_t l0c, Emitter& out) {
  // The place of the sum before the previous one is used again.
  for (int64_t sibling = 1; sibling <= context.num_siblings(); ++sibling) {
    if (before_previous == nullptr ||
        chunks_of(context, *before_previous, sibling) == 0) {
      continue;
    }
    if (context.profile.unified_cores) {
      out.wait(Pipe::kMte2, Pipe::kFixpipe, index % kBuffers);
    } else {
      out.wait_sibling(Pipe::kMte2, Pipe::kFixpipe, index % kBuffers, sibling);
    }
  }
  for (int64_t chunk = 0; chunk < num_chunks(context, work); ++chunk) {
    emit_fixpipe(context, work, l0c, chunk * context.layout.epilogue_rows,
                 handed_rectangle(context, work, work.core, index, chunk), out);
    if (context.profile.unified_cores) {
      out.set(Pipe::kFixpipe, Pipe::kMte2, index % kBuffers);
    } else {
      out.set_sibling(Pipe::kFixpipe, Pipe::kMte2, index % kBuffers,
                      1 + chunk % context.num_siblings());
    }
  }
}

struct DrainChunk {
  int64_t column = 0;
  int64_t n = 0;
  int64_t ub = 0;
  int64_t buffer = 0;
};

}  // namespace

Type sum_type(const GemmPlan& plan) {
  const bool is_integer =
      bits_of(plan.kind.cube) < 16 && plan.kind.cube != Type::kF8;
  return is_integer ? Type::kS32 : Type::kF32;
}

void emit_finish(const GemmContext& context, const FinishPlace& place,
                 Emitter& out) {
  const double rate = context.profile.vector.bytes_per_cycle / kFloatBytes;
  const bool has_sums = context.plan.kind.sum_k > 0;
  // Floats with scales of their row and column.
  const bool is_scaled = has_sums || context.plan.kind.cube == Type::kF8;
  for (int64_t i = 0; i < context.plan.kind.vector_passes; ++i) {
    Instruction& one = out.vector(place.at, place.rows * place.n, rate);
    one.m = static_cast<uint32_t>(place.rows);
    one.n = static_cast<uint32_t>(place.n);
    one.type = has_sums ? Type::kF32 : sum_type(context.plan);
    one.out_type = context.plan.gemm.out;
    one.src2 = static_cast<uint64_t>(place.column);
    one.inputs = static_cast<uint32_t>(place.inputs);
    one.scales = static_cast<uint32_t>(place.scales);
    if (i > 0) {
      one.function = VectorFunction::kPart;
      continue;
    }
    one.function =
        is_scaled ? VectorFunction::kFinishSums : VectorFunction::kFinish;
    if (has_sums) one.src = static_cast<uint64_t>(place.sums);
  }
}

namespace {

// Sums of a group in UB, converted and scaled, onto those before it.
void emit_add_group(const GemmContext& context, const FinishPlace& place,
                    const TileSum& sum, Emitter& out) {
  const double rate = context.profile.vector.bytes_per_cycle / kFloatBytes;
  for (int64_t i = 0; i < kGroupPasses; ++i) {
    Instruction& one = out.vector(place.sums, place.rows * place.n, rate);
    one.src = static_cast<uint64_t>(place.at);
    one.m = static_cast<uint32_t>(place.rows);
    one.n = static_cast<uint32_t>(place.n);
    one.k = static_cast<uint32_t>(sum.group);
    one.type = Type::kS32;
    one.out_type = Type::kF32;
    one.src2 = static_cast<uint64_t>(place.column);
    one.accumulate = sum.group > 0;
    one.function = i == 0 ? VectorFunction::kAddGroup : VectorFunction::kPart;
  }
}

// What becomes of a chunk of a sum: a result, or a share of one.
void emit_take(const GemmContext& context, const FinishPlace& place,
               const TileSum& sum, Emitter& out) {
  if (sum.is_group) emit_add_group(context, place, sum, out);
  if (sum.is_last) emit_finish(context, place, out);
}

}  // namespace

void emit_other_inputs(const GemmContext& context, const Rectangle& like,
                       int64_t at, Emitter& out) {
  for (int64_t i = 0; i < context.plan.kind.vector_inputs; ++i) {
    Rectangle source = like;
    source.address =
        like.address - gm_address(Tensor::kOutput, 0) +
        gm_address(Tensor::kOther, 0) +
        static_cast<uint64_t>(i * context.plan.gemm.M * like.row_stride);
    out.copy_in(Space::kUb,
                at + i * like.rows * round_up(like.row_bytes, kBeatBytes),
                source);
  }
}

void emit_row_scales(const TileWork& work, int64_t row, int64_t m, int64_t at,
                     Emitter& out) {
  out.copy_in(Space::kUb, at,
              {gm_address(Tensor::kScales, (work.row + row) * kFloatBytes), 1,
               m * kFloatBytes, m * kFloatBytes});
}

namespace {

// Behind the two buffers of chunks.
int64_t drained_scales_at(const GemmContext& context, int64_t tile) {
  return kBuffers * context.layout.chunk_bytes +
         tile % kBuffers * context.layout.row_scale_bytes;
}

TileWork part_of(const TileWork& work, const DrainChunk& chunk) {
  TileWork part = work;
  part.column = work.column + chunk.column;
  part.n = std::min(chunk.n, work.n - chunk.column);
  return part;
}

int64_t drained_inputs_at(const TileWork& work, const DrainChunk& chunk) {
  return chunk.ub + round_up(work.m, kFractalRows) * chunk.n * kFloatBytes;
}

// A chunk's further inputs are asked for while the one before is worked on.
void emit_drain_inputs(const GemmContext& context, const TileWork& work,
                       const DrainChunk& chunk, Emitter& out) {
  if (!context.drains_inputs()) return;
  out.wait(Pipe::kVector, Pipe::kMte2, chunk.buffer);
  emit_other_inputs(context,
                    output_rectangle(context.plan, part_of(work, chunk), 0,
                                     work.m, exit_type(context)),
                    drained_inputs_at(work, chunk), out);
  out.set(Pipe::kMte2, Pipe::kVector, chunk.buffer);
}

void emit_drain_chunk(const GemmContext& context, const TileWork& work,
                      const TileSum& sum, int64_t l0c, const DrainChunk& chunk,
                      Emitter& out) {
  const int64_t rows = round_up(work.m, kFractalRows);
  const bool is_partial = context.plan.tiling.split_k > 1;
  const bool takes_inputs = context.drains_inputs() && sum.is_last;
  const TileWork part = part_of(work, chunk);
  out.wait(Pipe::kMte3, Pipe::kVector, chunk.buffer);
  Instruction& drain = out.drain(
      chunk.ub, l0c + chunk.column * rows * kFloatBytes, work.m, part.n);
  drain.type = sum_type(context.plan);
  drain.k = static_cast<uint32_t>(rows);
  if (takes_inputs) out.wait(Pipe::kMte2, Pipe::kVector, chunk.buffer);
  if (!is_partial) {
    emit_take(
        context,
        {chunk.ub, work.m, part.n, part.column, drained_inputs_at(work, chunk),
         drained_scales_at(context, sum.tile),
         context.layout.sums_at + chunk.column * rows * kFloatBytes},
        sum, out);
  }
  if (takes_inputs) out.set(Pipe::kVector, Pipe::kMte2, chunk.buffer);
  out.set(Pipe::kVector, Pipe::kMte3, chunk.buffer);
  out.wait(Pipe::kVector, Pipe::kMte3, chunk.buffer);
  if (sum.is_last) {
    out.copy_out(chunk.ub, output_rectangle(context.plan, part, 0, work.m,
                                            exit_type(context)));
  }
  out.set(Pipe::kMte3, Pipe::kVector, chunk.buffer);
}

void emit_drains(const GemmContext& context, const TileWork& work,
                 const TileSum& sum, int64_t l0c, Emitter& out) {
  const int64_t columns = context.layout.epilogue_columns;
  const bool has_scales = context.drains_row_scales() && sum.is_last;
  const int64_t flag = kScaleFlag + sum.tile % kBuffers;
  // Buffers take turns over all sums.
  const int64_t before =
      sum.index * ceil_div(context.plan.tiling.tile_n, columns);
  const auto chunk_at = [&](int64_t column) {
    const int64_t buffer = (before + column / columns) % kBuffers;
    return DrainChunk{column, columns, buffer * context.layout.chunk_bytes,
                      buffer};
  };
  if (sum.is_last) emit_drain_inputs(context, work, chunk_at(0), out);
  if (has_scales) out.wait(Pipe::kMte2, Pipe::kVector, flag);
  for (int64_t column = 0; column < work.n; column += columns) {
    if (sum.is_last && column + columns < work.n) {
      emit_drain_inputs(context, work, chunk_at(column + columns), out);
    }
    emit_drain_chunk(context, work, sum, l0c, chunk_at(column), out);
  }
  if (has_scales) out.set(Pipe::kVector, Pipe::kMte2, flag);
}

}  // namespace

void emit_scales_ahead(const GemmContext& context, const TileWork& work,
                       int64_t index, Emitter& out) {
  if (!context.drains_row_scales()) return;
  const int64_t flag = kScaleFlag + index % kBuffers;
  out.wait(Pipe::kVector, Pipe::kMte2, flag);
  emit_row_scales(work, 0, work.m, drained_scales_at(context, index), out);
  out.set(Pipe::kMte2, Pipe::kVector, flag);
}

int64_t chunks_of(const GemmContext& context, const TileWork& work,
                  int64_t sibling) {
  const int64_t siblings = context.num_siblings();
  return (num_chunks(context, work) + siblings - sibling) / siblings;
}

void emit_exit(const GemmContext& context, const TileWork& work,
               const TileWork* before_previous, const TileSum& sum,
               Emitter& out) {
  const int64_t slot = sum.index % context.layout.accumulators;
  const int64_t l0c = slot * context.layout.accumulator_bytes;
  const Pipe pipe = context.exit_pipe();
  out.set(Pipe::kCube, pipe, slot);
  out.wait(Pipe::kCube, pipe, slot);
  if (context.hands_over()) {
    emit_handing_over(context, work, before_previous, sum.index, l0c, out);
  } else if (pipe == Pipe::kFixpipe) {
    emit_fixpipe(
        context, work, l0c, 0,
        output_rectangle(context.plan, work, 0, work.m, exit_type(context)),
        out);
  } else {
    emit_drains(context, work, sum, l0c, out);
  }
  out.set(pipe, Pipe::kCube, slot);
}

int64_t emit_handed_over(const GemmContext& context, const TileWork& work,
                         const TileSum& sum, int64_t sibling, int64_t chunks,
                         Emitter& out) {
  const int64_t siblings = context.num_siblings();
  const int64_t index = sum.index;
  const int64_t rows = context.layout.epilogue_rows;
  const int64_t n = context.plan.tiling.tile_n;
  const int64_t element = bits_of(context.plan.gemm.out) / 8;
  const int64_t inputs = rows * n * kFloatBytes;
  const int64_t scales =
      inputs + rows * n * element * context.plan.kind.vector_inputs;
  const int64_t total = num_chunks(context, work);
  for (int64_t chunk = sibling - 1; chunk < total; chunk += siblings) {
    const int64_t buffer = chunks++ % kBuffers;
    const int64_t ub = buffer * context.layout.chunk_bytes;
    const Rectangle source =
        handed_rectangle(context, work, work.core, index, chunk);
    const Rectangle target = output_rectangle(
        context.plan, work, chunk * rows, source.rows, context.plan.gemm.out);
    out.wait(Pipe::kMte3, Pipe::kMte2, buffer);
    // What else the tile needs is there before its sums are.
    if (sum.is_last) emit_other_inputs(context, target, ub + inputs, out);
    if (sum.is_last && context.plan.kind.per_token) {
      emit_row_scales(work, chunk * rows, source.rows, ub + scales, out);
    }
    if (context.profile.unified_cores) {
      out.wait(Pipe::kFixpipe, Pipe::kMte2, index % kBuffers);
    } else {
      out.wait_sibling(Pipe::kFixpipe, Pipe::kMte2, index % kBuffers, 0);
    }
    out.copy_in(Space::kUb, ub, source);
    if (chunk + siblings >= total) {
      if (context.profile.unified_cores) {
        out.set(Pipe::kMte2, Pipe::kFixpipe, index % kBuffers);
      } else {
        out.set_sibling(Pipe::kMte2, Pipe::kFixpipe, index % kBuffers, 0);
      }
    }
    out.set(Pipe::kMte2, Pipe::kVector, buffer);
    out.wait(Pipe::kMte2, Pipe::kVector, buffer);
    emit_take(
        context,
        {ub, source.rows, work.n, work.column, ub + inputs, ub + scales,
         context.layout.sums_at + chunk / siblings * rows * n * kFloatBytes},
        sum, out);
    out.set(Pipe::kVector, Pipe::kMte3, buffer);
    out.wait(Pipe::kVector, Pipe::kMte3, buffer);
    if (sum.is_last) out.copy_out(ub, target);
    out.set(Pipe::kMte3, Pipe::kMte2, buffer);
  }
  return chunks;
}

}  // namespace tessera::npu
