// SPDX-License-Identifier: Apache-2.0
//
// Two buffers in UB, three pipes, flags between them.

#include "backends/npu_sim/compiler/pass.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "backends/npu_sim/compiler/gemm/tiles.hpp"
#include "backends/npu_sim/compiler/rows/lane_steps.hpp"
#include "backends/npu_sim/machine/costs.hpp"
#include "backends/npu_sim/machine/l2_cache.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kBuffers = 2;
constexpr int64_t kLineBytes = 512;
constexpr int64_t kMostOperandBytes = 65280;  // 255 repeats of 256 bytes
constexpr int64_t kScaleBits = 32;

int64_t operand_bytes(int64_t elements, int64_t bits) {
  return round_up((elements * bits + 7) / 8, kLineBytes);
}

Rectangle flat(Tensor tensor, int64_t first, int64_t elements, int64_t bits) {
  const int64_t bytes = (elements * bits + 7) / 8;
  return {gm_address(tensor, first * bits / 8), 1, bytes, bytes};
}

// Scales of groups that `elements` in a row touch, at most.
int64_t scales_of(const Pass& pass, int64_t elements) {
  return pass.scale_group == 0 ? 0 : ceil_div(elements, pass.scale_group) + 1;
}

int64_t pass_chunk(const Profile& profile, const Pass& pass,
                   int64_t num_lanes) {
  const int64_t scale_bits =
      pass.scale_group == 0 ? 0 : ceil_div(kScaleBits, pass.scale_group);
  const int64_t bits = pass.num_inputs * bits_of(pass.in) +
                       std::max<int64_t>(bits_of(pass.out), 16) + scale_bits;
  const int64_t fits =
      profile.local.ub_bytes * 8 / kBuffers / bits / kLineBytes * kLineBytes -
      kLineBytes;
  const int64_t most =
      kMostOperandBytes * 8 / std::max(bits_of(pass.in), bits_of(pass.out));
  const int64_t share = ceil_div(pass.elements, num_lanes);
  // Two steps at least, so that reading and computing overlap.
  const int64_t wanted =
      std::max<int64_t>(round_up(ceil_div(share, kBuffers), kLineBytes),
                        std::min<int64_t>(share, 2 * kLineBytes));
  return std::max<int64_t>(kLineBytes,
                           std::min({fits, most / kLineBytes * kLineBytes,
                                     round_up(wanted, kLineBytes)}));
}

Rectangle input_part(const Pass& pass, int64_t index, int64_t first,
                     int64_t elements) {
  if (index == 0) {
    return flat(pass.input, pass.first_input + first, elements,
                bits_of(pass.in));
  }
  return flat(Tensor::kOther, (index - 1) * pass.elements + first, elements,
              bits_of(pass.in));
}

// How a pass is cut: what a lane has, what a step takes, and where in UB.
struct PassCut {
  int64_t buffers = kBuffers;
  int64_t share = 0;
  int64_t chunk = 0;
  int64_t in_bytes = 0;   // of one input
  int64_t result_at = 0;  // in a buffer
  int64_t scales_at = 0;
  int64_t buffer_bytes = 0;
};

// Of a buffer of so many rows: inputs, results unless they lie over those,
// scales.
struct RowBytes {
  RowBytes(const Pass& pass, int64_t rows) {
    const int64_t count = rows * pass.row_elements;
    inputs = operand_bytes(count, std::max<int64_t>(bits_of(pass.in), 16));
    const bool in_place = bits_of(pass.out) <= bits_of(pass.in);
    result_at = in_place ? 0 : inputs;
    scales_at =
        inputs + (in_place ? 0 : operand_bytes(count, bits_of(pass.out)));
    all = scales_at + operand_bytes(rows, pass.row_scale_bits);
  }

  int64_t inputs = 0;
  int64_t result_at = 0;
  int64_t scales_at = 0;
  int64_t all = 0;
};

// Values of the longest row that UB holds, in whole lines.
int64_t longest_row(const Profile& profile, Pass pass) {
  constexpr int64_t kFirstStep = int64_t{1} << 24;
  int64_t longest = 0;
  for (int64_t step = kFirstStep; step >= kLineBytes; step /= 2) {
    pass.row_elements = longest + step;
    if (fits_rows(profile, pass)) longest += step;
  }
  return longest;
}

// As many rows as fit, codes over what they are made from.
PassCut cut_rows(const Profile& profile, const Pass& pass, int64_t num_lanes) {
  const int64_t row = pass.row_elements;
  const int64_t rows = ceil_div(pass.elements / row, num_lanes);
  const auto bytes = [&](int64_t count) { return RowBytes(pass, count).all; };
  PassCut cut;
  while (cut.buffers > 1 && cut.buffers * bytes(1) > profile.local.ub_bytes) {
    --cut.buffers;
  }
  if (!fits_rows(profile, pass)) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "pass: a row of " + std::to_string(row) +
                         " values does not fit the " +
                         std::to_string(profile.local.ub_bytes) +
                         " bytes of ub on " + profile.name + "; " +
                         std::to_string(longest_row(profile, pass)) + " would");
  }
  int64_t fit = ceil_div(rows, kBuffers);
  while (cut.buffers * bytes(fit) > profile.local.ub_bytes)
    fit = fit / 2 + fit % 2;
  cut.share = rows * row;
  cut.chunk = fit * row;
  cut.in_bytes = operand_bytes(cut.chunk, bits_of(pass.in));
  const RowBytes row_bytes(pass, fit);
  cut.result_at = row_bytes.result_at;
  cut.scales_at = row_bytes.scales_at;
  cut.buffer_bytes = row_bytes.all;
  return cut;
}

PassCut cut_of(const Profile& profile, const Pass& pass, int64_t num_lanes) {
  if (pass.row_elements > 0) return cut_rows(profile, pass, num_lanes);
  PassCut cut;
  cut.chunk = pass_chunk(profile, pass, num_lanes);
  cut.share = round_up(ceil_div(pass.elements, num_lanes), kLineBytes);
  cut.in_bytes = operand_bytes(cut.chunk, bits_of(pass.in));
  // What narrows may lie over what it is made from.
  const bool in_place = bits_of(pass.out) < bits_of(pass.in);
  cut.result_at = in_place ? 0 : pass.num_inputs * cut.in_bytes;
  cut.scales_at =
      pass.num_inputs * cut.in_bytes +
      operand_bytes(cut.chunk, std::max<int64_t>(bits_of(pass.out), 16));
  cut.buffer_bytes =
      cut.scales_at + operand_bytes(scales_of(pass, cut.chunk), kScaleBits);
  return cut;
}

double compute_cycles(const Profile& profile, const Pass& pass,
                      int64_t elements) {
  const double count = static_cast<double>(elements);
  double cycles = pass.passes *
                  (count / pass.elements_per_cycle * (pass.conflicts ? 2 : 1) +
                   profile.vector.issue_cycles);
  cycles += pass.special_passes * (count / profile.vector.special_elements +
                                   profile.vector.issue_cycles);
  return cycles;
}

// One step of a pass: `elements` from number `first` on, at UB offset `at`.
struct PassStep {
  int64_t first = 0;
  int64_t elements = 0;
  int64_t at = 0;
};

void emit_compute(const Profile& profile, const Pass& pass, const PassCut& cut,
                  const PassStep& step, Emitter& emit) {
  const bool adds = pass.function == VectorFunction::kAdd ||
                    pass.function == VectorFunction::kSiluMul;
  Instruction& first = emit.vector(step.at + cut.result_at, step.elements,
                                   pass.elements_per_cycle);
  first.src = static_cast<uint64_t>(step.at);
  first.type = pass.in;
  first.out_type = pass.out;
  first.conflicts = pass.conflicts;
  first.function = pass.function;
  first.src2 = static_cast<uint64_t>(adds ? step.at + cut.in_bytes
                                          : pass.first_input + step.first);
  first.inputs = static_cast<uint32_t>(cut.in_bytes);
  first.k =
      static_cast<uint32_t>(adds ? pass.num_inputs - 1 : pass.row_elements);
  first.scales = static_cast<uint32_t>(step.at + cut.scales_at);
  emit.further_passes(pass.passes - 1, pass.elements_per_cycle, pass.conflicts);
  emit.further_passes(pass.special_passes, profile.vector.special_elements,
                      false);
}

}  // namespace

void emit_pass(const Profile& profile, const Pass& pass, int64_t lane,
               int64_t num_lanes, Emitter& emit) {
  const PassCut cut = cut_of(profile, pass, num_lanes);
  const int64_t begin = std::min(pass.elements, lane * cut.share);
  const int64_t end = std::min(pass.elements, begin + cut.share);
  const int64_t row = pass.row_elements;
  for (int64_t b = 0; b < cut.buffers; ++b) {
    emit.set(Pipe::kMte3, Pipe::kMte2, b);
  }
  int64_t count = 0;
  for (int64_t at = begin; at < end; at += cut.chunk, ++count) {
    const int64_t buffer = count % cut.buffers;
    const PassStep step{at, std::min(cut.chunk, end - at),
                        buffer * cut.buffer_bytes};
    emit.wait(Pipe::kMte3, Pipe::kMte2, buffer);
    for (int64_t i = 0; i < pass.num_inputs; ++i) {
      emit.copy_in(Space::kUb, step.at + i * cut.in_bytes,
                   input_part(pass, i, at, step.elements));
    }
    if (pass.scale_group > 0) {
      const int64_t first = (pass.first_input + at) / pass.scale_group;
      const int64_t last =
          (pass.first_input + at + step.elements - 1) / pass.scale_group;
      emit.copy_in(
          Space::kUb, step.at + cut.scales_at,
          flat(Tensor::kGroupScales, first, last + 1 - first, kScaleBits));
    }
    emit.set(Pipe::kMte2, Pipe::kVector, buffer);
    emit.wait(Pipe::kMte2, Pipe::kVector, buffer);
    emit_compute(profile, pass, cut, step, emit);
    emit.set(Pipe::kVector, Pipe::kMte3, buffer);
    emit.wait(Pipe::kVector, Pipe::kMte3, buffer);
    emit.copy_out(step.at + cut.result_at,
                  flat(pass.output, at, step.elements, bits_of(pass.out)));
    if (row > 0 && pass.row_scale_bits > 0) {
      emit.copy_out(step.at + cut.scales_at,
                    flat(pass.row_scales, at / row, step.elements / row,
                         pass.row_scale_bits));
    }
    emit.set(Pipe::kMte3, Pipe::kMte2, buffer);
  }
  for (int64_t b = 0; b < cut.buffers; ++b) {
    emit.wait(Pipe::kMte3, Pipe::kMte2, b);
  }
}

bool fits_rows(const Profile& profile, const Pass& pass) {
  return RowBytes(pass, 1).all <= profile.local.ub_bytes;
}

double pass_cycles(const Profile& profile, const Pass& pass,
                   int64_t num_lanes) {
  if (pass.elements == 0) return 0;
  const GlobalMemory& global = profile.global;
  const PassCut cut = cut_of(profile, pass, num_lanes);
  const double depth = static_cast<double>(cut.buffers);
  const int64_t chunk = cut.chunk;
  const int64_t share = std::min(pass.elements, cut.share);
  const double lanes = std::ceil(static_cast<double>(pass.elements) /
                                 static_cast<double>(share));
  const double steps = static_cast<double>(ceil_div(share, chunk));
  const double count = static_cast<double>(share);
  const double scale_bits = pass.scale_group == 0
                                ? 0
                                : static_cast<double>(kScaleBits) /
                                      static_cast<double>(pass.scale_group);
  const double in_bits =
      static_cast<double>(pass.num_inputs * bits_of(pass.in)) + scale_bits;
  const double transfers =
      static_cast<double>(pass.num_inputs) + (pass.scale_group > 0 ? 1 : 0);
  const double in_bytes = count * in_bits / 8;
  const double out_bytes = count * static_cast<double>(bits_of(pass.out)) / 8;
  const double core_rate =
      global.dram_core_rate > 0
          ? std::min(global.dram_core_rate, global.l2_read_rate)
          : global.l2_read_rate;
  const double rate = std::min(core_rate, profile.dram_rate() / lanes);
  const double read =
      std::max(in_bytes / rate, steps * transfers * global.dma_issue_cycles);
  const double write =
      out_bytes / std::min(profile.vector.ub_to_gm_rate, global.l2_write_rate);
  const double compute =
      steps * compute_cycles(profile, pass, std::min(share, chunk));
  const double all =
      streamed_cycles(profile, {read, compute, write}, steps, depth);
  // What L2 cannot keep of the results has to share DRAM with the reads.
  const double total = static_cast<double>(pass.elements) / 8;
  const double out = total * static_cast<double>(bits_of(pass.out));
  const double l2 = static_cast<double>(global.l2_bytes);
  const double kept =
      out <= l2 * (1 - kCleanShare) ? out : l2 * kMeanDirtyShare;
  const double dram = total * in_bits + out - kept;
  return std::max(all, dram / profile.dram_rate() + global.read_latency_cycles);
}

}  // namespace tessera::npu
