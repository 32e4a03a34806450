// SPDX-License-Identifier: Apache-2.0
//
// Linear against the limits of the machine, measured in turn with it: for few
// rows, cold, reading the same number of stored bytes; for many, hot, the peak
// of the type that the kernel multiplies.  The best of all turns counts, of the
// limit and of the kernel; `share` is what the limit takes of the kernel's
// time.  Rows are named <scheme>/<isa>[+onednn]/M<M>/<N>x<K>.
// CPU_BENCH_THREADS limits the threads; of one thread the CPU time is taken, so
// that other programs on the machine do not count.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "backends/cpu/bench/bench_threads.hpp"
#include "backends/cpu/bench/linear_weights.hpp"
#include "backends/cpu/bench/machine_limits.hpp"
#include "backends/cpu/kernels/linear/linear.hpp"
#include "backends/cpu/kernels/linear/linear_kernel.hpp"

namespace tessera::cpu {
namespace {

constexpr int64_t kColdBytes = int64_t{5} << 28;  // 1.25 GiB
constexpr int64_t kColdRows = 64;                 // at most; more are hot

// clang-format off
constexpr Scheme kSchemes[] = {
    {"f32",          TSR_WEIGHT_F32,    TSR_F32,    1,   4,   0,   TSR_DTYPE_NONE, TSR_ACT_FLOAT,      TSR_F32},
    {"bf16",         TSR_WEIGHT_BF16,   TSR_BF16,   1,   2,   0,   TSR_DTYPE_NONE, TSR_ACT_FLOAT,      TSR_BF16},
    {"w16a16",       TSR_WEIGHT_F16,    TSR_F16,    1,   2,   0,   TSR_DTYPE_NONE, TSR_ACT_FLOAT,      TSR_F16},
    {"w8a8_dynamic", TSR_WEIGHT_I8,     TSR_I8,     1,   1,   0,   TSR_F32,        TSR_ACT_I8_DYNAMIC, TSR_F32},
    {"w8a8sc",       TSR_WEIGHT_SPARSE_FIXED, TSR_U8, 1, 1,   0,   TSR_F32,        TSR_ACT_I8_DYNAMIC, TSR_F32},
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

Peak peak_of(const Scheme& scheme) {
  if (scheme.act_quant == TSR_ACT_I8_DYNAMIC) return Peak::kInt8;
  const bool is_bf16 =
      scheme.x_dtype == TSR_BF16 && best_isa() >= Isa::kAvx512Bf16;
  return is_bf16 ? Peak::kBf16 : Peak::kF32;
}

// Times the calls of one row and its limit in turn.
class Contest {
 public:
  Contest(const Scheme& scheme, const Shape& shape)
      : scheme_(scheme),
        shape_(shape),
        weights_(scheme, shape, is_cold() ? kColdBytes : 0) {
    // The copies made last are still in a cache.
    for (int64_t bytes = 0; is_cold() && bytes < kColdBytes / 4;
         bytes += weights_.canonical_bytes()) {
      limit();
    }
  }

  Weights& weights() { return weights_; }

  template <typename Call>
  double time(const Call& call) {
    limit_ns_ = std::min(limit_ns_, limit());
    const double begin = clock_ns(parallel());
    call();
    const double ns = clock_ns(parallel()) - begin;
    best_ns_ = std::min(best_ns_, ns);
    return ns;
  }

  void report(benchmark::State& state) const {
    const double products = static_cast<double>(shape_.M * shape_.N * shape_.K);
    const auto bytes = static_cast<double>(weights_.canonical_bytes());
    state.counters["best_ms"] = 1e-6 * best_ns_;
    state.counters["GOP/s"] = 2.0 * products / best_ns_;
    state.counters["GB/s"] = bytes / best_ns_;
    if (limit_ns_ > 0.0) {
      state.counters["limit_ms"] = 1e-6 * limit_ns_;
      state.counters["share"] = limit_ns_ / best_ns_;
    }
  }

 private:
  static const Parallel& parallel() { return BenchThreads::all().parallel(); }
  bool is_cold() const { return shape_.M <= kColdRows; }

  // What the limit of one call takes now.
  double limit() {
    const double begin = clock_ns(parallel());
    if (is_cold()) {
      constexpr int64_t kStreams[] = {1, 4, 8};
      read_all(parallel(), weights_.next_bytes(), weights_.canonical_bytes(),
               kStreams[turn_++ % std::size(kStreams)]);
      return clock_ns(parallel()) - begin;
    }
    const double ops = run_peak(parallel(), peak_of(scheme_));
    if (ops == 0.0) return 0.0;
    const double ns = clock_ns(parallel()) - begin;
    return ns * 2.0 * static_cast<double>(shape_.M * shape_.N * shape_.K) / ops;
  }

  Scheme scheme_;
  Shape shape_;
  Weights weights_;
  double limit_ns_ = std::numeric_limits<double>::infinity();
  double best_ns_ = std::numeric_limits<double>::infinity();
  size_t turn_ = 0;
};

void run_linear(benchmark::State& state, const Scheme& scheme,
                const Shape& shape, Isa isa, UseOneDnn use_onednn) {
  Contest contest(scheme, shape);
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
    const LinearWeight& weight = contest.weights().next();
    state.SetIterationTime(1e-9 * contest.time([&] {
      linear(weight, op, {workspace.data(), bytes}, exec);
    }));
  }
  contest.report(state);
  state.SetLabel(linear_kernel_name(contest.weights().next(), op, exec));
}

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
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

void register_linear() {
  constexpr Shape kShapes[] = {
      {1, 4096, 4096},   {2, 4096, 4096},   {4, 4096, 4096},
      {8, 4096, 4096},   {16, 4096, 4096},  {32, 4096, 4096},
      {128, 4096, 4096}, {512, 4096, 4096}, {128, 1024, 1024},
      {512, 1024, 1024}, {128, 2048, 2048}, {512, 2048, 2048},
      {512, 11008, 4096}};
  for (const Shape& shape : kShapes) {
    for (const Scheme& scheme : kSchemes) {
      for (const Isa isa : {best_isa(), Isa::kAvx2}) {
        if (isa > best_isa()) continue;
        register_one(scheme, shape, isa, UseOneDnn::kNever);
      }
      // Labels say where oneDNN cannot and ours ran again.
      if (shape.M >= 16) {
        register_one(scheme, shape, best_isa(), UseOneDnn::kAlways);
      }
    }
  }
}

}  // namespace
}  // namespace tessera::cpu

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  tessera::cpu::register_linear();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
