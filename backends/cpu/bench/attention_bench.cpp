// SPDX-License-Identifier: Apache-2.0
//
// Attention kernels against the limit of the machine, measured in turn with
// each run: products of the kernel's kind for prefill, memory reads for decode.
// Rows are named <kernel>/q<q_len>/kv<seq_len>/<heads>x<kv_heads>x<head_dim>;
// of_limit compares the medians of all turns, share the best.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "backends/cpu/bench/bench_memory.hpp"
#include "backends/cpu/bench/bench_threads.hpp"
#include "backends/cpu/bench/machine_limits.hpp"
#include "backends/cpu/kernels/attention/attention.hpp"
#include "backends/cpu/kernels/attention/attention_work.hpp"

namespace tessera::cpu {
namespace {

const Parallel& threads() { return BenchThreads::all().parallel(); }

struct Shape {
  int64_t q_len;
  int64_t seq_len;
  int64_t num_q_heads;
  int64_t num_kv_heads;
  int64_t head_dim;
};

template <typename T>
std::vector<T> random_values(size_t count) {
  std::mt19937 rng(42);
  std::normal_distribution<float> normal;
  std::vector<T> values(count);
  for (T& v : values) v = static_cast<T>(normal(rng));
  return values;
}

// Layers of KV whose bytes together exceed any cache, used in turn: decode is
// cold, as in a model.
class Layers {
 public:
  Layers(const Shape& shape, uint32_t kv_format, int64_t min_bytes)
      : shape_(shape), layout_(make_kv_layout(desc_of(shape, kv_format))) {
    const int64_t layer_bytes = layout_.num_blocks * layout_.block_bytes;
    num_layers_ = std::max<int64_t>(1, min_bytes / layer_bytes);
    pool_bytes_ = static_cast<size_t>(num_layers_ * layer_bytes);
    pool_.resize(pool_bytes_);
    fill();
    q_ = random_values<float>(
        static_cast<size_t>(shape.q_len * shape.num_q_heads * shape.head_dim));
    out_.resize(q_.size());
    kv_scale_.assign(
        static_cast<size_t>(2 * shape.num_kv_heads * shape.head_dim), 0.02f);
    q_inv_.assign(static_cast<size_t>(shape.num_q_heads), 50.0f);
    const double c =
        0.02 * 0.02 / std::sqrt(static_cast<double>(shape.head_dim));
    for (int64_t h = 0; h < shape.num_q_heads; ++h) {
      for (int k = 1; k <= 127; ++k) {
        thresholds_.push_back(
            static_cast<int32_t>(std::log(127.0 / (k - 0.5)) / c));
      }
    }
    for (int64_t b = 0; b < layout_.num_blocks; ++b) {
      block_table_.push_back(static_cast<int32_t>(b));
    }
    std::shuffle(block_table_.begin(), block_table_.end(), std::mt19937(42));
  }

  Attention next() {
    Attention op;
    op.num_seqs = 1;
    op.num_tokens = shape_.q_len;
    op.num_q_heads = shape_.num_q_heads;
    op.dtype = TSR_F32;
    op.q = q_.data();
    op.out = out_.data();
    op.q_stride = op.out_stride = shape_.num_q_heads * shape_.head_dim;
    op.kv = layout_;
    op.pool = pool_.data() + turn_ * layout_.num_blocks * layout_.block_bytes;
    turn_ = (turn_ + 1) % num_layers_;
    op.q_starts = q_starts_;
    op.seq_lens = &seq_len_;
    op.block_table = block_table_.data();
    op.max_blocks_per_seq = layout_.num_blocks;
    op.scale = 1.0f / std::sqrt(static_cast<float>(shape_.head_dim));
    op.kv_scale = kv_scale_.data();
    op.q_inv = q_inv_.data();
    op.thresholds = thresholds_.data();
    return op;
  }
  int64_t layer_bytes() const {
    return layout_.num_blocks * layout_.block_bytes;
  }

 private:
  static tsr_kv_desc desc_of(const Shape& shape, uint32_t kv_format) {
    tsr_kv_desc desc{};
    desc.struct_size = sizeof(desc);
    desc.format = kv_format;
    desc.num_kv_heads = static_cast<uint32_t>(shape.num_kv_heads);
    desc.head_dim = static_cast<uint32_t>(shape.head_dim);
    desc.block_size = 16;
    desc.num_blocks = static_cast<uint32_t>(shape.seq_len / 16);
    return desc;
  }
  // Random codes; float formats get 0x3c.. or 0x3f.., values about 1.
  void fill() {
    std::mt19937 rng(42);
    const auto width =
        static_cast<size_t>(layout_.row_bytes / layout_.head_dim);
    std::vector<std::byte> random(size_t{1} << 20);
    for (size_t i = 0; i < random.size(); ++i) {
      const bool is_top = width > 1 && i % width == width - 1;
      random[i] = is_top ? std::byte{0x3c} : static_cast<std::byte>(rng());
    }
    for (size_t i = 0; i < pool_bytes_; i += random.size()) {
      const size_t count = std::min(random.size(), pool_bytes_ - i);
      std::copy_n(random.begin(), count, pool_.data() + i);
    }
    if (layout_.format != TSR_KV_I8_TOKEN) return;
    for (int64_t b = 0; b < num_layers_ * layout_.num_blocks; ++b) {
      auto* scales = reinterpret_cast<float*>(
          pool_.data() + b * layout_.block_bytes + layout_.k_scale_offset);
      const auto count = static_cast<size_t>(
          (layout_.block_bytes - layout_.k_scale_offset) / 4);
      std::fill(scales, scales + count, 0.02f);
    }
  }

  Shape shape_;
  KvLayout layout_;
  int64_t num_layers_ = 1;
  int64_t turn_ = 0;
  size_t pool_bytes_ = 0;
  Memory pool_;
  std::vector<float> q_;
  std::vector<float> out_;
  std::vector<float> kv_scale_;
  std::vector<float> q_inv_;
  std::vector<int32_t> thresholds_;
  std::vector<int32_t> block_table_;
  int32_t q_starts_[2] = {0, static_cast<int32_t>(shape_.q_len)};
  int32_t seq_len_ = static_cast<int32_t>(shape_.seq_len);
};

Peak peak_of(const AttentionKernel& kernel) {
  if (kernel.kv_format == TSR_KV_I8_HEAD) return Peak::kInt8;
  return kernel.isa >= Isa::kAvx512Bf16 ? Peak::kBf16 : Peak::kF32;
}

// Nanoseconds of reading a layer, in each turn another way.  Only once for each
// run of a kernel: a shared machine lets a guest read fast for a while, then
// slowly, and both are to meet that alike.
double read_ns(Layers& layers, size_t turn) {
  constexpr int64_t kStreams[] = {1, 4, 8};
  const std::byte* layer = layers.next().pool;
  const double begin = clock_ns(threads());
  read_all(threads(), layer, layers.layer_bytes(),
           kStreams[turn % std::size(kStreams)]);
  return clock_ns(threads()) - begin;
}

double product_ns(Peak peak, double operations) {
  const double begin = clock_ns(threads());
  const double done = run_peak(threads(), peak);
  if (done == 0.0) return 0.0;
  return (clock_ns(threads()) - begin) * operations / done;
}

void run_kernel(benchmark::State& state, const AttentionKernel& kernel,
                const Shape& shape) {
  Layers layers(shape, kernel.kv_format,
                shape.q_len == 1 ? int64_t{512} << 20 : 0);
  const AttentionLimits limits{1,
                               shape.q_len,
                               shape.num_q_heads,
                               shape.num_kv_heads,
                               shape.head_dim,
                               threads().num_threads};
  const size_t workspace_bytes = attention_workspace_bytes(limits);
  Memory memory;
  memory.resize(workspace_bytes);
  const AttentionWorkspace workspace{memory.data(), workspace_bytes};
  // Unmasked scores only.
  const double pairs = static_cast<double>(shape.q_len) *
                       (static_cast<double>(shape.seq_len) -
                        static_cast<double>(shape.q_len - 1) / 2.0);
  const double operations =
      4.0 * pairs * static_cast<double>(shape.num_q_heads * shape.head_dim);
  std::vector<double> limit_ns;
  std::vector<double> times;
  while (state.KeepRunning()) {
    limit_ns.push_back(shape.q_len == 1
                           ? read_ns(layers, limit_ns.size())
                           : product_ns(peak_of(kernel), operations));
    const Attention op = layers.next();
    const double begin = clock_ns(threads());
    run_attention(kernel, op, workspace, threads());
    times.push_back(clock_ns(threads()) - begin);
    state.SetIterationTime(1e-9 * times.back());
  }
  std::sort(limit_ns.begin(), limit_ns.end());
  std::sort(times.begin(), times.end());
  state.counters["of_limit"] =
      limit_ns[limit_ns.size() / 2] / times[times.size() / 2];
  state.counters["share"] = limit_ns[0] / times[0];
  state.counters["best_ms"] = 1e-6 * times[0];
  using benchmark::Counter;
  state.counters["GFLOP/s"] =
      Counter(1e-9 * operations, Counter::kIsIterationInvariantRate);
  state.counters["GB/s"] =
      Counter(1e-9 * static_cast<double>(layers.layer_bytes()),
              Counter::kIsIterationInvariantRate);
}

std::string name_of(const AttentionKernel& kernel, const Shape& s) {
  return std::string(kernel.name) + "/q" + std::to_string(s.q_len) + "/kv" +
         std::to_string(s.seq_len) + "/" + std::to_string(s.num_q_heads) + "x" +
         std::to_string(s.num_kv_heads) + "x" + std::to_string(s.head_dim);
}

void register_all() {
  constexpr Shape kShapes[] = {
      {1, 4096, 32, 8, 128},    {1, 4096, 64, 8, 128},  {1, 16384, 32, 8, 128},
      {1, 16384, 64, 8, 128},   {512, 512, 16, 8, 128}, {512, 4096, 16, 8, 128},
      {2048, 2048, 16, 8, 128}, {512, 512, 16, 8, 64},  {512, 4096, 16, 8, 64},
      {4096, 4096, 8, 8, 64}};
  for (const Shape& shape : kShapes) {
    for (const AttentionKernel& kernel : attention_kernels()) {
      if (kernel.isa > best_isa()) continue;
      benchmark::RegisterBenchmark(name_of(kernel, shape).c_str(),
                                   [&kernel, shape](benchmark::State& state) {
                                     run_kernel(state, kernel, shape);
                                   })
          ->UseManualTime()
          ->MinTime(0.3)
          ->Unit(benchmark::kMillisecond);
    }
  }
}

}  // namespace
}  // namespace tessera::cpu

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  tessera::cpu::register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
