// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/compiler/rows/cache_append.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "backends/npu_sim/compiler/gemm/tiles.hpp"
#include "backends/npu_sim/compiler/rows/lane_steps.hpp"
#include "backends/npu_sim/machine/costs.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kScaleBytes = 4;
constexpr int64_t kMostOperandBytes = 65280;  // 255 repeats of 256 bytes
constexpr int64_t kMostIndices = 2048;        // that a lane reads at a time
constexpr int64_t kIndexBytes = 4 * kMostIndices;

[[noreturn]] void refuse(const std::string& why) {
  throw sdk::Error(TSR_INVALID_ARGUMENT, "kv_append: " + why);
}

// A unit is a KV head of a token.  In UB each of its columns has 32 bytes, and
// a scale that is found has so many too.
struct Cut {
  int64_t share = 0;  // units of a lane
  int64_t units = 0;  // of a step
  int64_t in_bytes = 0;
  int64_t columns = 0;       // of a unit
  int64_t column_bytes = 0;  // of one token, in GM
  int64_t scales_at = 0;     // behind the columns of a step
  int64_t out_bytes = 0;
};

bool finds_scales(const CacheAppend& op) { return op.kv == KvType::kS8; }

int64_t block_bytes(const CacheAppend& op, const Cut& cut) {
  return op.num_kv_heads * cut.columns * cut.column_bytes * op.block_size;
}

void check(const CacheAppend& op) {
  constexpr int64_t kMost = int64_t{1} << 20;
  for (const int64_t size :
       {op.tokens, op.num_kv_heads, op.head_dim, op.block_size}) {
    if (size < 1 || size > kMost) {
      refuse("a size of " + std::to_string(size) + " is outside 1 to 2^20");
    }
  }
  const double bytes = 4.0 * static_cast<double>(op.num_kv_heads) *
                       static_cast<double>(op.head_dim) *
                       static_cast<double>(op.block_size);
  if (bytes >= 0x1p31) refuse("blocks of 2^31 bytes or more");
}

Cut cut_of(const Profile& profile, const CacheAppend& op, int64_t num_lanes) {
  check(op);
  const int64_t dims = cache_column_dims(op.kv);
  Cut cut;
  cut.columns = ceil_div(op.head_dim, dims);
  cut.column_bytes = dims * bits_of(code_type(op.kv)) / 8;
  const int64_t columns_bytes = cut.columns * kBeatBytes;
  const int64_t in_bytes = op.head_dim * bits_of(op.type) / 8;
  const int64_t out_bytes = columns_bytes + (finds_scales(op) ? kBeatBytes : 0);
  const int64_t room =
      (profile.local.ub_bytes - kIndexBytes) / LaneSteps::kBuffers -
      2 * kBeatBytes;
  const int64_t most = std::min(
      {room / (in_bytes + out_bytes),
       kMostOperandBytes / std::max(in_bytes, columns_bytes), kMostIndices});
  if (most == 0) {
    refuse("a head of " + std::to_string(op.head_dim) +
           " values does not fit ub on " + profile.name);
  }
  cut.share = ceil_div(op.tokens * op.num_kv_heads, num_lanes);
  // Keys and values are a step each.
  cut.units = std::min(cut.share, most);
  cut.in_bytes = round_up(cut.units * in_bytes, kBeatBytes);
  cut.scales_at = cut.units * columns_bytes;
  cut.out_bytes = cut.units * out_bytes;
  return cut;
}

// Vector instructions of one part over all its elements: to f32, turned, codes
// by the scale that is given or found first.
double passes_of(const CacheAppend& op, bool is_key) {
  const double codes = bits_of(code_type(op.kv)) > 8 ? 0
                       : finds_scales(op)            ? 3
                                                     : 2;
  return 1 + codes + (is_key && op.rotates ? 4 : 0);
}

class Append {
 public:
  Append(const Profile& profile, const CacheAppend& op, const Cut& cut,
         Emitter& emit)
      : profile_(profile), op_(op), cut_(cut), emit_(emit) {}

  // Units [first, first + count) of keys or values.
  void step(bool is_key, int64_t first, int64_t count, LaneSteps& steps);
  Instruction& read(bool is_key, int64_t first, int64_t count, int64_t place);
  Instruction& store(bool is_key, int64_t unit, int64_t place);

 private:
  void convert(bool is_key, int64_t first, int64_t count,
               const LaneSteps& steps);
  void store_scale(bool is_key, int64_t unit, int64_t place);

  const Profile& profile_;
  const CacheAppend& op_;
  const Cut& cut_;
  Emitter& emit_;
};

Instruction& Append::read(bool is_key, int64_t first, int64_t count,
                          int64_t place) {
  const Tensor tensor = is_key ? Tensor::kInput : Tensor::kOther;
  const int64_t element = bits_of(op_.type) / 8;
  const int64_t bytes = count * op_.head_dim * element;
  return emit_.copy_in(
      Space::kUb, place,
      {gm_address(tensor, first * op_.head_dim * element), 1, bytes, bytes});
}

void Append::convert(bool is_key, int64_t first, int64_t count,
                     const LaneSteps& steps) {
  const double rate = profile_.vector.bytes_per_cycle / 4;
  Instruction& one = emit_.vector(steps.result(), count * op_.head_dim, rate);
  one.function = VectorFunction::kAppendHeads;
  one.src = static_cast<uint64_t>(steps.input());
  one.src2 = static_cast<uint64_t>(first);
  one.type = op_.type;
  one.out_type = code_type(op_.kv);
  one.k = static_cast<uint32_t>(op_.head_dim);
  one.row_bytes = static_cast<uint32_t>(cut_.column_bytes);
  one.inputs = is_key ? 0 : 1;
  if (finds_scales(op_)) {
    one.scales = static_cast<uint32_t>(steps.result() + cut_.scales_at);
  }
  emit_.further_passes(passes_of(op_, is_key) - 1, rate, false);
}

Instruction& Append::store(bool is_key, int64_t unit, int64_t place) {
  const Tensor tensor = is_key ? Tensor::kKeyCache : Tensor::kValueCache;
  const int64_t column = cut_.column_bytes * op_.block_size;
  const int64_t head = unit % op_.num_kv_heads;
  Instruction& one =
      emit_.copy_out(place, {gm_address(tensor, head * cut_.columns * column),
                             cut_.columns, cut_.column_bytes, column});
  one.indirection = {static_cast<uint32_t>(unit / op_.num_kv_heads),
                     static_cast<uint32_t>(op_.block_size),
                     static_cast<uint32_t>(cut_.column_bytes),
                     static_cast<uint32_t>(block_bytes(op_, cut_))};
  return one;
}

void Append::store_scale(bool is_key, int64_t unit, int64_t place) {
  const Tensor tensor = is_key ? Tensor::kKeyScales : Tensor::kValueScales;
  const int64_t head = unit % op_.num_kv_heads;
  Instruction& one = emit_.copy_out(
      place, {gm_address(tensor, head * op_.block_size * kScaleBytes), 1,
              kScaleBytes, kScaleBytes});
  one.indirection = {
      static_cast<uint32_t>(unit / op_.num_kv_heads),
      static_cast<uint32_t>(op_.block_size), kScaleBytes,
      static_cast<uint32_t>(op_.num_kv_heads * op_.block_size * kScaleBytes)};
}

void Append::step(bool is_key, int64_t first, int64_t count, LaneSteps& steps) {
  steps.begin_reading();
  read(is_key, first, count, steps.input());
  steps.begin_computing(true);
  convert(is_key, first, count, steps);
  steps.end_computing(true);
  for (int64_t i = 0; i < count; ++i) {
    store(is_key, first + i, steps.result() + i * cut_.columns * kBeatBytes);
    if (!finds_scales(op_)) continue;
    store_scale(is_key, first + i,
                steps.result() + cut_.scales_at + i * kBeatBytes);
  }
  steps.end_storing();
}

}  // namespace

int64_t cache_column_dims(KvType kv) {
  return kv == KvType::kFa3 ? fractal_k(Type::kS8) : fractal_k(Type::kF16);
}

void emit_cache_append(const Profile& profile, const CacheAppend& op,
                       int64_t lane, int64_t num_lanes, Emitter& emit) {
  const Cut cut = cut_of(profile, op, num_lanes);
  const int64_t all = op.tokens * op.num_kv_heads;
  const int64_t begin = std::min(all, lane * cut.share);
  const int64_t end = std::min(all, begin + cut.share);
  if (begin == end) return;
  LaneSteps steps(emit, kIndexBytes, cut.in_bytes, cut.out_bytes);
  Append append(profile, op, cut, emit);
  int64_t known = begin / op.num_kv_heads;  // tokens whose slots were read
  for (int64_t unit = begin; unit < end; unit += cut.units) {
    const int64_t count = std::min(cut.units, end - unit);
    const int64_t last = (unit + count - 1) / op.num_kv_heads + 1;
    if (last > known) {
      const int64_t tokens =
          std::min(kMostIndices, (end - 1) / op.num_kv_heads + 1 - known);
      read_indices(0, known, tokens, emit);
      known += tokens;
    }
    append.step(true, unit, count, steps);
    append.step(false, unit, count, steps);
  }
  steps.finish();
}

double cache_append_cycles(const Profile& profile, const CacheAppend& op,
                           int64_t num_lanes) {
  const Cut cut = cut_of(profile, op, num_lanes);
  const int64_t all = op.tokens * op.num_kv_heads;
  const auto lanes = static_cast<double>(ceil_div(all, cut.share));
  const auto units = static_cast<double>(std::min(all, cut.share));
  std::vector<Instruction> made;
  Emitter emit(made);
  Append append(profile, op, cut, emit);
  const TransferCost in =
      transfer_cost_of(profile, append.read(true, 0, cut.units, 0));
  const TransferCost out = transfer_cost_of(profile, append.store(true, 1, 0));
  const double steps = 2 * std::ceil(units / static_cast<double>(cut.units));
  const double in_rate = std::min(
      in.miss_rate > 0 ? std::min(in.miss_rate, in.hit_rate) : in.hit_rate,
      profile.dram_rate() / lanes);
  LaneTimes times;
  times.read = 2 * units / static_cast<double>(cut.units) * in.bytes / in_rate;
  times.compute = (passes_of(op, true) + passes_of(op, false)) *
                  (units * static_cast<double>(op.head_dim) * 4 /
                       profile.vector.bytes_per_cycle +
                   steps / 2 * profile.vector.issue_cycles);
  times.write = 2 * units *
                (std::max(out.bytes / out.hit_rate, out.least_cycles) +
                 (finds_scales(op) ? out.least_cycles : 0));
  return profile.global.read_latency_cycles + units +
         streamed_cycles(profile, times, steps, LaneSteps::kBuffers);
}

}  // namespace tessera::npu
