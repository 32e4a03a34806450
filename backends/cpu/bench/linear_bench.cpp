// SPDX-License-Identifier: Apache-2.0
//
// Linear against the limits of the machine, measured in the same run: memory
// reads for M=1 (cold: the weights rotate over more than 1 GiB), int8 and f32
// multiply-add peaks for many rows.  Rows are named
// <scheme>/<isa>[+onednn]/M<M>/<N>x<K>.  CPU_BENCH_THREADS limits the threads.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "backends/cpu/bench/bench_threads.hpp"
#include "backends/cpu/kernels/linear/linear.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tessera::cpu {
namespace {

constexpr int64_t kColdBytes = int64_t{5} << 28;  // 1.25 GiB

struct Scheme {
  const char* name;
  uint32_t format;
  uint32_t dtype;        // of the codes; U8 of GGUF blocks
  int64_t values;        // of a block, or columns in one byte or more
  int64_t bytes;         // that these take
  int64_t group_size;    // of the SCALE plane; 0: per channel
  uint32_t scale_dtype;  // NONE: no plane
  uint32_t act_quant;
  uint32_t x_dtype;
};

// clang-format off
constexpr Scheme kSchemes[] = {
    {"f32",          TSR_WEIGHT_F32,    TSR_F32,    1,   4,   0,   TSR_DTYPE_NONE, TSR_ACT_FLOAT,      TSR_F32},
    {"bf16",         TSR_WEIGHT_BF16,   TSR_BF16,   1,   2,   0,   TSR_DTYPE_NONE, TSR_ACT_FLOAT,      TSR_BF16},
    {"w16a16",       TSR_WEIGHT_F16,    TSR_F16,    1,   2,   0,   TSR_DTYPE_NONE, TSR_ACT_FLOAT,      TSR_F16},
    {"w8a8_dynamic", TSR_WEIGHT_I8,     TSR_I8,     1,   1,   0,   TSR_F32,        TSR_ACT_I8_DYNAMIC, TSR_F32},
    {"w8a16",        TSR_WEIGHT_I8,     TSR_I8,     1,   1,   0,   TSR_F32,        TSR_ACT_FLOAT,      TSR_BF16},
    {"w4a16_g128",   TSR_WEIGHT_U4,     TSR_U4,     2,   1,   128, TSR_F32,        TSR_ACT_FLOAT,      TSR_BF16},
    {"w4a16_f32",    TSR_WEIGHT_U4,     TSR_U4,     2,   1,   128, TSR_F32,        TSR_ACT_FLOAT,      TSR_F32},
    {"w4a8_g128",    TSR_WEIGHT_I4,     TSR_I4,     2,   1,   128, TSR_F32,        TSR_ACT_I8_DYNAMIC, TSR_F32},
    {"fp8a16",       TSR_WEIGHT_F8E4M3, TSR_F8E4M3, 1,   1,   0,   TSR_F32,        TSR_ACT_FLOAT,      TSR_BF16},
    {"fp8",          TSR_WEIGHT_F8E4M3, TSR_F8E4M3, 1,   1,   0,   TSR_F32,        TSR_ACT_F8_DYNAMIC, TSR_F32},
    {"mxfp4",        TSR_WEIGHT_MXFP4,  TSR_F4E2M1, 2,   1,   32,  TSR_E8M0,       TSR_ACT_FLOAT,      TSR_BF16},
    {"nvfp4",        TSR_WEIGHT_NVFP4,  TSR_F4E2M1, 2,   1,   16,  TSR_F8E4M3,     TSR_ACT_FLOAT,      TSR_BF16},
    {"q4_0",         TSR_WEIGHT_Q4_0,   TSR_U8,     32,  18,  0,   TSR_DTYPE_NONE, TSR_ACT_FLOAT,      TSR_BF16},
    {"q4_1",         TSR_WEIGHT_Q4_1,   TSR_U8,     32,  20,  0,   TSR_DTYPE_NONE, TSR_ACT_FLOAT,      TSR_BF16},
    {"q5_0",         TSR_WEIGHT_Q5_0,   TSR_U8,     32,  22,  0,   TSR_DTYPE_NONE, TSR_ACT_FLOAT,      TSR_BF16},
    {"q8_0",         TSR_WEIGHT_Q8_0,   TSR_U8,     32,  34,  0,   TSR_DTYPE_NONE, TSR_ACT_FLOAT,      TSR_BF16},
    {"q4_k",         TSR_WEIGHT_Q4_K,   TSR_U8,     256, 144, 0,   TSR_DTYPE_NONE, TSR_ACT_FLOAT,      TSR_BF16},
    {"q5_k",         TSR_WEIGHT_Q5_K,   TSR_U8,     256, 176, 0,   TSR_DTYPE_NONE, TSR_ACT_FLOAT,      TSR_BF16},
    {"q6_k",         TSR_WEIGHT_Q6_K,   TSR_U8,     256, 210, 0,   TSR_DTYPE_NONE, TSR_ACT_FLOAT,      TSR_BF16},
};
// clang-format on

struct Shape {
  int64_t M;
  int64_t N;
  int64_t K;
};

// Of 2 MiB pages where they can be had, as the host allocates.
class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { std::free(data_); }

  void resize(size_t bytes) {
    constexpr size_t kPage = size_t{2} << 20;
    const size_t rounded = (bytes + kPage) / kPage * kPage;
    std::free(data_);
    data_ = static_cast<std::byte*>(std::aligned_alloc(kPage, rounded));
    if (data_ == nullptr) std::abort();
#if defined(__linux__)
    madvise(data_, rounded, MADV_HUGEPAGE);
#endif
    std::memset(data_, 1, rounded);
  }
  std::byte* data() { return data_; }

 private:
  std::byte* data_ = nullptr;
};

tsr_plane plane_of(uint32_t role, uint32_t dtype, int64_t rows, int64_t cols) {
  tsr_plane plane{};
  plane.struct_size = sizeof(plane);
  plane.role = role;
  plane.dtype = dtype;
  plane.rows = static_cast<uint32_t>(rows);
  plane.cols = static_cast<uint32_t>(cols);
  return plane;
}

// Copies of one random weight, used in turn.
class Weights {
 public:
  Weights(const Scheme& scheme, const Shape& shape, int64_t min_bytes) {
    fill_planes(scheme, shape);
    tsr_weight_desc desc{};
    desc.struct_size = sizeof(desc);
    desc.format = scheme.format;
    desc.N = static_cast<uint32_t>(shape.N);
    desc.K = static_cast<uint32_t>(shape.K);
    desc.planes = {planes_, scales_.empty() ? 1U : 2U, sizeof(tsr_plane)};

    const WeightShape layout = weight_shape(desc);
    const bool is_raw = layout.layout == Layout::kRaw;
    const size_t bytes = is_raw ? codes_.size() : layout.packed_bytes;
    const auto stride = static_cast<int64_t>((bytes + 63) / 64 * 64);
    const int64_t count = std::max<int64_t>(1, min_bytes / stride);
    memory_.resize(static_cast<size_t>(count * stride));
    for (int64_t i = 0; i < count; ++i) {
      std::byte* place = memory_.data() + i * stride;
      if (i > 0) {
        std::memcpy(place, memory_.data(), bytes);
      } else if (is_raw) {
        std::memcpy(place, codes_.data(), bytes);
      } else {
        pack_rows(layout, desc, 0, shape.N, place);
      }
      planes_[0].data = place;
      weights_.push_back(open_weight(desc, place));
    }
  }

  const LinearWeight& next() {
    turn_ = (turn_ + 1) % weights_.size();
    return weights_[turn_];
  }
  // Of codes and scales as the planes have them.
  int64_t canonical_bytes() const {
    return static_cast<int64_t>(codes_.size() + scales_.size());
  }

 private:
  void fill_planes(const Scheme& scheme, const Shape& shape) {
    std::mt19937 rng(42);
    const int64_t row_bytes = shape.K / scheme.values * scheme.bytes;
    codes_.resize(static_cast<size_t>(shape.N * row_bytes));
    // As halves and small floats, too, these are ordinary numbers.
    for (std::byte& b : codes_) b = static_cast<std::byte>(rng() & 0x3fU);
    const bool is_block = scheme.values > 2;
    planes_[0] = plane_of(TSR_PLANE_CODES, scheme.dtype, shape.N,
                          is_block ? row_bytes : shape.K);
    planes_[0].row_bytes = static_cast<uint64_t>(row_bytes);
    planes_[0].data = codes_.data();
    if (scheme.scale_dtype == TSR_DTYPE_NONE) return;
    const int64_t group = scheme.group_size == 0 ? shape.K : scheme.group_size;
    const int64_t groups = shape.K / group;
    const bool is_f32 = scheme.scale_dtype == TSR_F32;
    scales_.assign(static_cast<size_t>(shape.N * groups * (is_f32 ? 4 : 1)),
                   std::byte{0x3c});
    planes_[1] = plane_of(TSR_PLANE_SCALE, scheme.scale_dtype, shape.N, groups);
    planes_[1].row_bytes = scales_.size() / static_cast<size_t>(shape.N);
    planes_[1].block_n = 1;
    planes_[1].block_k = static_cast<uint32_t>(group);
    planes_[1].data = scales_.data();
  }

  std::vector<std::byte> codes_;
  std::vector<std::byte> scales_;
  tsr_plane planes_[2];
  Memory memory_;
  std::vector<LinearWeight> weights_;
  size_t turn_ = 0;
};

void run_linear(benchmark::State& state, const Scheme& scheme,
                const Shape& shape, Isa isa, UseOneDnn use_onednn) {
  Weights weights(scheme, shape, shape.M <= 8 ? kColdBytes : 0);
  std::vector<std::byte> x(static_cast<size_t>(shape.M * shape.K * 4));
  std::mt19937 rng(42);
  for (std::byte& b : x) b = static_cast<std::byte>(rng() & 0x3fU);
  std::vector<float> y(static_cast<size_t>(shape.M * shape.N));
  Linear op;
  op.M = shape.M;
  op.x = {x.data(), scheme.x_dtype, shape.K};
  op.y = {y.data(), TSR_F32, shape.N};
  op.act_quant = scheme.act_quant;

  const Parallel& parallel = BenchThreads::all().parallel();
  const Exec exec{&parallel, isa, use_onednn};
  const size_t bytes =
      linear_workspace_bytes({shape.M, shape.K, parallel.num_threads});
  Memory workspace;
  workspace.resize(bytes);
  for ([[maybe_unused]] auto _ : state) {
    linear(weights.next(), op, {workspace.data(), bytes}, exec);
  }
  using benchmark::Counter;
  state.counters["GOP/s"] =
      Counter(2e-9 * static_cast<double>(shape.M * shape.N * shape.K),
              Counter::kIsIterationInvariantRate);
  state.counters["GB/s"] =
      Counter(1e-9 * static_cast<double>(weights.canonical_bytes()),
              Counter::kIsIterationInvariantRate);
  state.SetLabel(linear_kernel_name(weights.next(), op, exec));
}

// ---- Limits ----------------------------------------------------------------

template <typename Task>
void run_on_all(Task&& task) {
  parallel_for(BenchThreads::all().parallel(),
               BenchThreads::all().parallel().num_threads, task);
}

#if defined(__x86_64__)

// Every thread reads its part of 1.25 GiB as state.range(0) streams.
__attribute__((target("avx2"))) void read_part(const std::byte* part,
                                               int64_t bytes, int64_t streams) {
  __m256i sum = _mm256_setzero_si256();
  const int64_t stride = bytes / streams / 64 * 64;
  for (int64_t i = 0; i < stride; i += 64) {
    for (int64_t s = 0; s < streams; ++s) {
      const auto* p = reinterpret_cast<const __m256i*>(part + s * stride + i);
      sum = _mm256_xor_si256(sum, _mm256_load_si256(p));
      sum = _mm256_xor_si256(sum, _mm256_load_si256(p + 1));
    }
  }
  benchmark::DoNotOptimize(sum);
}

void limit_memory_read(benchmark::State& state) {
  static Memory memory;
  if (memory.data() == nullptr) memory.resize(kColdBytes);
  const int64_t num_threads = BenchThreads::all().parallel().num_threads;
  const int64_t part = kColdBytes / num_threads / 64 * 64;
  for ([[maybe_unused]] auto _ : state) {
    run_on_all([&](uint32_t i) {
      read_part(memory.data() + i * part, part, state.range(0));
    });
  }
  state.counters["GB/s"] =
      benchmark::Counter(1e-9 * static_cast<double>(part * num_threads),
                         benchmark::Counter::kIsIterationInvariantRate);
}

constexpr int64_t kPeakSteps = 1 << 20;
constexpr int kChains = 16;

__attribute__((target("avx512f"))) void fma_steps() {
  __m512 sums[kChains];
  for (__m512& sum : sums) sum = _mm512_set1_ps(1.0f);
  const __m512 a = _mm512_set1_ps(1.0001f);
  for (int64_t i = 0; i < kPeakSteps; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm512_fmadd_ps(sums[c], a, a);
    }
  }
  for (const __m512& sum : sums) sums[0] = _mm512_add_ps(sums[0], sum);
  benchmark::DoNotOptimize(sums[0]);
}

__attribute__((target("avx512f,avx512bf16"))) void bf16_steps() {
  __m512 sums[kChains];
  for (__m512& sum : sums) sum = _mm512_set1_ps(1.0f);
  const auto a = (__m512bh)_mm512_set1_epi32(0x3f803f80);
  for (int64_t i = 0; i < kPeakSteps; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm512_dpbf16_ps(sums[c], a, a);
    }
  }
  for (const __m512& sum : sums) sums[0] = _mm512_add_ps(sums[0], sum);
  benchmark::DoNotOptimize(sums[0]);
}

__attribute__((target("avx512f,avx512vnni"))) void vnni_steps() {
  __m512i sums[kChains];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  const __m512i a = _mm512_set1_epi32(0x01020304);
  for (int64_t i = 0; i < kPeakSteps; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm512_dpbusd_epi32(sums[c], a, a);
    }
  }
  for (const __m512i& sum : sums) sums[0] = _mm512_xor_si512(sums[0], sum);
  benchmark::DoNotOptimize(sums[0]);
}

template <typename Steps>
void limit_peak(benchmark::State& state, Steps steps, double ops_per_step) {
  for ([[maybe_unused]] auto _ : state) {
    run_on_all([&](uint32_t) { steps(); });
  }
  const double num_threads = BenchThreads::all().parallel().num_threads;
  state.counters["GOP/s"] = benchmark::Counter(
      1e-9 * num_threads * kPeakSteps * kChains * ops_per_step,
      benchmark::Counter::kIsIterationInvariantRate);
}

void register_limits() {
  benchmark::RegisterBenchmark("limit_memory_read", limit_memory_read)
      ->Arg(1)
      ->Arg(4)
      ->Arg(8)
      ->UseRealTime();
  if (best_isa() < Isa::kAvx512Vnni) return;
  benchmark::RegisterBenchmark(
      "limit_f32_fma_avx512",
      [](benchmark::State& state) { limit_peak(state, fma_steps, 32); })
      ->UseRealTime();
  benchmark::RegisterBenchmark(
      "limit_int8_avx512vnni",
      [](benchmark::State& state) { limit_peak(state, vnni_steps, 128); })
      ->UseRealTime();
  if (best_isa() < Isa::kAvx512Bf16) return;
  benchmark::RegisterBenchmark(
      "limit_bf16_avx512bf16",
      [](benchmark::State& state) { limit_peak(state, bf16_steps, 64); })
      ->UseRealTime();
}

#else

void register_limits() {}

#endif

void register_one(const Scheme& scheme, const Shape& shape, Isa isa,
                  UseOneDnn use_onednn) {
  const std::string name =
      std::string(scheme.name) + "/" + isa_name(isa) +
      (use_onednn == UseOneDnn::kAlways ? "+onednn/M" : "/M") +
      std::to_string(shape.M) + "/" + std::to_string(shape.N) + "x" +
      std::to_string(shape.K);
  benchmark::RegisterBenchmark(
      name.c_str(),
      [scheme, shape, isa, use_onednn](benchmark::State& state) {
        run_linear(state, scheme, shape, isa, use_onednn);
      })
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

void register_linear() {
  constexpr Shape kShapes[] = {
      {1, 4096, 4096}, {8, 4096, 4096}, {512, 4096, 4096}};
  for (const Shape& shape : kShapes) {
    for (const Scheme& scheme : kSchemes) {
      for (const Isa isa : {best_isa(), Isa::kAvx2}) {
        if (isa > best_isa()) continue;
        register_one(scheme, shape, isa, UseOneDnn::kNever);
      }
      // Labels say where oneDNN cannot and ours ran again.
      if (shape.M > 1) {
        register_one(scheme, shape, best_isa(), UseOneDnn::kAlways);
      }
    }
  }
}

}  // namespace
}  // namespace tessera::cpu

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  tessera::cpu::register_limits();
  tessera::cpu::register_linear();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
