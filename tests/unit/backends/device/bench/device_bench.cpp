// SPDX-License-Identifier: Apache-2.0
//
// Weights and caches of M = 1 rows exceed 1.5 GiB together: they are cold.

#include "tests/unit/backends/device/bench/device_bench.hpp"

#include <algorithm>
#include <cstdio>
#include <string>

#include "tessera/error.hpp"
#include "tests/unit/backends/device/attention_case.hpp"
#include "tests/unit/backends/device/bench/linear_steps.hpp"
#include "tests/unit/backends/device/bench/rivals.hpp"
#include "tests/unit/backends/device/bench/rounds.hpp"

namespace tessera::device_test {
namespace {

struct Bench {
  std::shared_ptr<Device> device;
  Limits& limits;
  std::string part;

  bool runs(const std::string& name) const {
    return name.find(part) != std::string::npos;
  }
};

constexpr double kColdBytes = 1.5 * (1 << 30);

// Work of one step.
struct Work {
  double bytes = 0.0;       // canonical, read from memory
  double operations = 0.0;  // 0: not a matter of operations
  bool is_int8 = false;
};

// Limit time over measured time, where the limit is the longer of the two.
double ratio(const Work& work, double read, double fma, double seconds) {
  return std::max(work.bytes * 1e-9 / read, work.operations * 1e-9 / fma) /
         seconds;
}

// The most of each: the limits where nothing disturbed them, the inverse of the
// least times likewise.
struct Best {
  Rate read;
  Rate fma;
  Rate steps_per_second;

  void add(const Rate& limit_read, const Rate& limit_fma, const Rate& time) {
    raise(read, limit_read);
    raise(fma, limit_fma);
    raise(steps_per_second, rate_of(1.0, time));
  }
  double processor_ratio(const Work& work) const {
    return ratio(work, read.processor, fma.processor,
                 1.0 / steps_per_second.processor);
  }

 private:
  static void raise(Rate& most, const Rate& rate) {
    most.wall = std::max(most.wall, rate.wall);
    most.processor = std::max(most.processor, rate.processor);
  }
};

Rate operation_limit(Limits& limits, const Work& work) {
  if (work.operations == 0.0) return {1.0, 1.0};
  return work.is_int8 ? limits.int8() : limits.fma();
}

// Short steps have more rounds.
bool wants_round(size_t rounds, const Stopwatch& watch) {
  constexpr double kSeconds = 2.0;
  return rounds < kRounds || watch.elapsed(1).wall < kSeconds;
}

void report(Bench& bench, const std::string& name, const Work& work,
            RepeatedStep& steps) {
  std::vector<double> times;
  std::vector<double> walls;
  std::vector<double> processors;
  std::vector<double> reads;
  std::vector<double> peaks;
  Best best;
  require(steps.run());
  const Stopwatch whole;
  while (wants_round(times.size(), whole)) {
    const Rate read = bench.limits.read();
    const Rate fma = operation_limit(bench.limits, work);
    const Stopwatch watch;
    require(steps.run());
    const Rate time = watch.elapsed(bench.limits.compute_units());
    times.push_back(time.wall);
    reads.push_back(read.wall);
    peaks.push_back(fma.wall);
    best.add(read, fma, time);
    walls.push_back(ratio(work, read.wall, fma.wall, time.wall));
    processors.push_back(
        ratio(work, read.processor, fma.processor, time.processor));
  }
  const double time = median(times);
  std::printf("%-34s %9.3f ms  %5.1f GB/s of %5.1f", name.c_str(), time * 1e3,
              work.bytes * 1e-9 / time, median(reads));
  if (work.operations > 0.0) {
    std::printf("  %6.1f GOP/s of %5.1f", work.operations * 1e-9 / time,
                median(peaks));
  }
  std::printf(
      "  = %3.0f %% by the wall, %3.0f %% by processor time, %3.0f %% where "
      "least disturbed (%.1f GB/s, %.1f GOP/s of %.1f, %.1f)\n",
      100.0 * median(walls), 100.0 * median(processors),
      100.0 * best.processor_ratio(work),
      work.bytes * 1e-9 * best.steps_per_second.processor,
      work.operations * 1e-9 * best.steps_per_second.processor,
      best.read.processor, best.fma.processor);
  std::fflush(stdout);
}

void run_linear(Bench& bench, const LinearRow& row) {
  if (!bench.runs(row.name)) return;
  LinearSteps steps(bench.device, row, row.M == 1 ? kColdBytes : 0.0);
  Work work;
  work.bytes = steps.weight_bytes();
  if (row.M > 1) work.operations = operations_of(row);
  work.is_int8 = row.act_quant != TSR_ACT_FLOAT;
  report(bench, row.name, work, steps.steps());
}

struct AttentionRow {
  const char* name;
  uint32_t kv_format;
  uint32_t element_bytes;
  uint32_t q_len;
  uint32_t seq_len;
  bool in_order = true;
};

void run_attention(Bench& bench, const AttentionRow& row) {
  if (!bench.runs(row.name)) return;
  AttentionCase c;
  c.num_q_heads = 32;
  c.num_kv_heads = 8;
  c.head_dim = 128;
  c.seqs = {{row.q_len, row.seq_len}};
  c.in_order = row.in_order;
  AttentionStep step(*bench.device, c, row.kv_format);
  const double scales = row.kv_format == TSR_KV_I8_TOKEN ? 4.0 : 0.0;
  const double layer = 2.0 * row.seq_len * c.num_kv_heads *
                       (double{1.0} * c.head_dim * row.element_bytes + scales);
  const int copies = row.q_len == 1 ? static_cast<int>(kColdBytes / layer) : 1;
  std::vector<KvPool> pools;
  OpRunner op(bench.device);
  for (int i = 0; i < copies; ++i) {
    auto pool = bench.device->create_kv_pool(step.kv_desc());
    require(pool.status());
    require(import_blocks(bench.device, *pool, step.kv_desc().num_blocks,
                          step.blocks()));
    step.add_to(op, *pool);
    pools.push_back(std::move(*pool));
  }
  auto steps =
      op.prepare(step.num_tokens(), step.num_seqs(), step.max_blocks());
  require(steps.status());
  Work work;
  work.bytes = layer * copies;
  // Only scores that the causal mask leaves count.
  const double keys = row.seq_len - (row.q_len - 1) / 2.0;
  work.operations =
      4.0 * copies * row.q_len * keys * c.num_q_heads * c.head_dim;
  report(bench, row.name, work, *steps);
}

// clang-format off
constexpr LinearRow kLinears[] = {
    {"w8a8 M=1 4096x4096",        "i8_channel", TSR_ACT_I8_DYNAMIC, 1,    4096, 4096},
    {"w8a8sc M=1 4096x4096",      "sparse",     TSR_ACT_I8_DYNAMIC, 1,    4096, 4096},
    {"w8a16 M=1 4096x4096",       "i8_channel", TSR_ACT_FLOAT,      1,    4096, 4096},
    {"q8_0 M=1 4096x4096",        "q8_0",       TSR_ACT_FLOAT,      1,    4096, 4096},
    {"w4a16 g128 M=1 4096x4096",  "u4_g128",    TSR_ACT_FLOAT,      1,    4096, 4096},
    {"w4a16 g32 M=1 4096x4096",   "u4_g32_f16", TSR_ACT_FLOAT,      1,    4096, 4096},
    {"q4_0 M=1 4096x4096",        "q4_0",       TSR_ACT_FLOAT,      1,    4096, 4096},
    {"f16 M=1 4096x4096",         "f16",        TSR_ACT_FLOAT,      1,    4096, 4096},
    {"f32 M=1024 1024x1024",      "f32",        TSR_ACT_FLOAT,      1024, 1024, 1024},
    {"f32 M=512 1024x1024",       "f32",        TSR_ACT_FLOAT,      512,  1024, 1024},
    {"bf16 M=512 1024x1024",      "bf16",       TSR_ACT_FLOAT,      512,  1024, 1024},
    {"w8a8 M=512 1024x1024",      "i8_channel", TSR_ACT_I8_DYNAMIC, 512,  1024, 1024},
    {"f32 M=512 4096x4096",       "f32",        TSR_ACT_FLOAT,      512,  4096, 4096},
    {"w8a8 M=512 4096x4096",      "i8_channel", TSR_ACT_I8_DYNAMIC, 512,  4096, 4096},
    {"w8a8sc M=512 1024x1024",    "sparse",     TSR_ACT_I8_DYNAMIC, 512,  1024, 1024},
    {"w4a16 g128 M=512 4096x4096", "u4_g128",   TSR_ACT_FLOAT,      512,  4096, 4096},
};
constexpr AttentionRow kAttentions[] = {
    {"attention i8_token decode 4096",   TSR_KV_I8_TOKEN,   1, 1,   4096},
    {"attention i8_token decode 4096, scattered blocks", TSR_KV_I8_TOKEN, 1, 1, 4096, false},
    {"attention i8_channel decode 4096", TSR_KV_I8_CHANNEL, 1, 1,   4096},
    {"attention fa3 decode 4096",        TSR_KV_I8_HEAD,    1, 1,   4096},
    {"attention f16 decode 4096",        TSR_KV_F16,        2, 1,   4096},
    {"attention i8_token prefill 512",   TSR_KV_I8_TOKEN,   1, 512, 512},
    {"attention fa3 prefill 512",        TSR_KV_I8_HEAD,    1, 512, 512},
};
// clang-format on

}  // namespace

void run_device_bench(const std::shared_ptr<Device>& device, Limits& limits,
                      const std::string& part) {
  Bench bench{device, limits, part};
  for (const LinearRow& row : kLinears) run_linear(bench, row);
  for (const AttentionRow& row : kAttentions) run_attention(bench, row);
  compare_int8_with_f32(device, part);
}

int bench_main(int argc, char** argv, const std::function<RunBench>& run) {
  const std::string part = argc > 1 ? argv[1] : "";
  Options options;
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    const size_t equals = std::min(word.find('='), word.size() - 1);
    options.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  const auto device = try_open(options);
  if (!device.ok()) {
    std::fprintf(stderr, "%s: %s\n", argv[0],
                 device.status().message().c_str());
    return 1;
  }
  try {
    run(*device, part);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
  return 0;
}

}  // namespace tessera::device_test
