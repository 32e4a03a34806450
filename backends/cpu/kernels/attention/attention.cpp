// SPDX-License-Identifier: Apache-2.0
//
// The attention driver: checks the call, cuts it into units whose size depends
// on shapes only, and lets the threads take them one by one.

#include "backends/cpu/kernels/attention/attention.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <string>

#include "backends/cpu/kernels/attention/attention_check.hpp"
#include "backends/cpu/kernels/attention/attention_work.hpp"
#include "backends/cpu/kernels/attention/visible_keys.hpp"
#include "tessera/error.hpp"

namespace tessera::cpu {
namespace {

// A sequence with fewer units than this is split over its keys too, so that a
// single long one keeps the cores busy; but not into pieces that are over in a
// few microseconds.
constexpr int64_t kMinUnits = 32;
constexpr int64_t kMinChunk = 256;
// Heads go together where chunks alone are units enough.
constexpr int64_t kChunksTogether = 16;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t align64(int64_t bytes) { return ceil_div(bytes, 64) * 64; }

// How one sequence is cut; a function of its own shape.
struct Cut {
  int64_t num_rows = 0;   // of one KV head
  int64_t num_tiles = 0;  // row tiles of one KV head
  int64_t num_chunks = 1;
  int64_t chunk_keys = 0;
  int64_t num_heads = 1;  // KV heads of a unit

  int64_t num_groups(int64_t num_kv_heads) const {
    return num_kv_heads / num_heads * num_tiles;
  }
  int64_t partial_words(int64_t num_kv_heads, int64_t head_dim) const {
    if (num_chunks == 1) return 0;
    return num_kv_heads * num_rows * num_chunks * partial_row_words(head_dim);
  }
};

// The KV heads that a decoding sequence's units have.
int64_t heads_together(const Attention& op, const AttentionKernel& kernel,
                       int64_t num_rows, int64_t span) {
  const int64_t heads = op.kv.num_kv_heads;
  const int64_t all = heads % kMostHeads == 0 ? kMostHeads : heads;
  const bool fits = num_rows <= kernel.rows_together && all <= kMostHeads;
  return fits && span >= kChunksTogether * kMinChunk ? all : 1;
}

Cut cut_sequence(const Attention& op, const AttentionKernel& kernel,
                 int64_t seq) {
  Cut cut;
  const int64_t q_len = op.q_starts[seq + 1] - op.q_starts[seq];
  int64_t span = op.seq_lens[seq];
  if (op.mask == TSR_MASK_SLIDING) span = std::min(span, q_len + op.window);
  cut.num_rows = q_len * (op.num_q_heads / op.kv.num_kv_heads);
  cut.num_tiles = ceil_div(cut.num_rows, kRowTile);
  if (q_len == 1) {
    cut.num_heads = heads_together(op, kernel, cut.num_rows, span);
  }
  const int64_t units = cut.num_groups(op.kv.num_kv_heads);
  if (cut.num_heads > 1) {
    cut.num_chunks = kChunksTogether;
  } else if (units > 0 && units < kMinUnits) {
    cut.num_chunks = std::max<int64_t>(
        1, std::min(ceil_div(kMinUnits, units), span / kMinChunk));
  }
  cut.chunk_keys = align64(ceil_div(span, cut.num_chunks));
  return cut;
}

// Where each sequence's units, groups and partials begin.
struct Start {
  int64_t unit;
  int64_t group;    // a group is the chunks of one row tile and KV head
  int64_t partial;  // f32 words
};

struct Run {
  const Attention* op;
  const AttentionKernel* kernel;
  const Start* starts;  // [num_seqs + 1]
  std::atomic<int64_t>* next_unit;
  std::atomic<int32_t>* chunks_left;  // [groups]
  float* partials;
  float* scratch;  // one per worker
  int64_t worker_words;
  int64_t num_workers;
  bool prepare;
};

// The sequence that `unit` belongs to.
int64_t find_sequence(const Run& run, int64_t unit) {
  const Start* end = run.starts + run.op->num_seqs + 1;
  const Start* after =
      std::upper_bound(run.starts, end, unit,
                       [](int64_t u, const Start& s) { return u < s.unit; });
  return after - run.starts - 1;
}

// Long row tiles first, so that the last units are short; a KV head at a time,
// so that cores share what they read.
AttentionWork describe(const Run& run, int64_t unit, int64_t* out_group) {
  const Attention& op = *run.op;
  AttentionWork work;
  work.op = &op;
  work.seq = find_sequence(run, unit);
  const Cut cut = cut_sequence(op, *run.kernel, work.seq);
  const Start& start = run.starts[work.seq];
  const int64_t group = (unit - start.unit) / cut.num_chunks;
  const int64_t tile = cut.num_tiles - 1 - group % cut.num_tiles;
  work.chunk = (unit - start.unit) % cut.num_chunks;
  work.num_chunks = cut.num_chunks;
  work.kv_head = group / cut.num_tiles * cut.num_heads;
  work.num_heads = cut.num_heads;
  work.row_begin = tile * kRowTile;
  work.num_rows = std::min<int64_t>(kRowTile, cut.num_rows - work.row_begin);

  const int64_t last_row = work.row_begin + work.num_rows - 1;
  const int64_t begin = visible_keys(op, work.seq, work.row_begin).begin;
  const int64_t end = visible_keys(op, work.seq, last_row).end;
  work.key_begin = std::min(end, begin + work.chunk * cut.chunk_keys);
  work.key_end = work.chunk + 1 == work.num_chunks
                     ? end
                     : std::min(end, work.key_begin + cut.chunk_keys);
  const int64_t words = partial_row_words(op.kv.head_dim) * cut.num_chunks;
  work.partials = run.partials + start.partial +
                  (work.kv_head * cut.num_rows + work.row_begin) * words;
  *out_group = start.group + group;
  return work;
}

void work_through(const Run& run, uint32_t worker) {
  const int64_t num_units = run.starts[run.op->num_seqs].unit;
  for (;;) {
    const int64_t unit = run.next_unit->fetch_add(1, std::memory_order_relaxed);
    if (unit >= num_units) return;
    int64_t group = 0;
    AttentionWork work = describe(run, unit, &group);
    work.scratch = run.scratch + worker * run.worker_words;
    // Units take about as long as each other, so threads take turns.
    AttentionWork soon;
    if (unit + run.num_workers < num_units) {
      int64_t its_group = 0;
      soon = describe(run, unit + run.num_workers, &its_group);
      work.soon = &soon;
    }
    if (run.prepare) {
      if (work.num_chunks > 1) run.kernel->prepare(work);
      continue;
    }
    run.kernel->run(work);
    if (work.num_chunks == 1) continue;
    // Whoever finishes the last chunk combines them; the order of the
    // combination is the chunks', whoever that is.
    if (run.chunks_left[group].fetch_sub(1, std::memory_order_acq_rel) == 1) {
      for (int64_t h = 0; h < work.num_heads; ++h) {
        run.kernel->combine(work.of_head(h));
      }
    }
  }
}

void run_pass(Run& run, const Parallel& parallel) {
  run.next_unit->store(0, std::memory_order_relaxed);
  const int64_t num_units = run.starts[run.op->num_seqs].unit;
  const auto workers = static_cast<uint32_t>(std::min<int64_t>(
      std::max<uint32_t>(1, parallel.num_threads), num_units));
  run.num_workers = workers;
  if (workers <= 1) return work_through(run, 0);
  parallel.run(
      parallel.context, workers,
      [](void* context, uint32_t index) {
        work_through(*static_cast<const Run*>(context), index);
      },
      &run);
}

// Hands out the workspace from front to back, each piece aligned to 64.
class Arena {
 public:
  explicit Arena(std::byte* data) : data_(data) {}

  template <typename T>
  T* take(int64_t count) {
    auto* piece = reinterpret_cast<T*>(data_ + used_);
    used_ += align64(count * static_cast<int64_t>(sizeof(T)));
    return piece;
  }
  int64_t used() const { return used_; }

 private:
  std::byte* data_;
  int64_t used_ = 0;
};

int64_t partial_words_bound(const AttentionLimits& limits) {
  // A sequence is split only if it has less than kMinUnits groups, and then
  // into at most 2 kMinUnits units of at most kRowTile rows; or if it decodes
  // with heads together, all of whose rows are then in kChunksTogether chunks.
  const int64_t group = limits.num_q_heads / limits.num_kv_heads;
  const int64_t rows =
      std::min(kRowTile * limits.max_seqs, limits.max_tokens * group);
  const int64_t decoding = std::min(limits.max_seqs, limits.max_tokens);
  return std::max(2 * kMinUnits * rows,
                  kChunksTogether * limits.num_q_heads * decoding) *
         partial_row_words(limits.head_dim);
}

}  // namespace

size_t attention_workspace_bytes(const AttentionLimits& limits) {
  check_limits(limits);
  const int64_t group = limits.num_q_heads / limits.num_kv_heads;
  const int64_t groups =
      limits.num_kv_heads *
      (ceil_div(limits.max_tokens * group, kRowTile) + limits.max_seqs);
  Arena arena(nullptr);
  arena.take<Start>(limits.max_seqs + 1);
  arena.take<std::atomic<int64_t>>(1);
  arena.take<std::atomic<int32_t>>(groups);
  arena.take<float>(partial_words_bound(limits));
  arena.take<float>(scratch_words(limits.head_dim) * limits.num_threads);
  return static_cast<size_t>(arena.used());
}

void run_attention(const AttentionKernel& kernel, const Attention& op,
                   const AttentionWorkspace& workspace,
                   const Parallel& parallel) {
  check_attention(op);
  Arena arena(workspace.data);
  auto* starts = arena.take<Start>(op.num_seqs + 1);
  auto* next_unit = arena.take<std::atomic<int64_t>>(1);
  check_workspace(workspace, arena.used());
  starts[0] = {0, 0, 0};
  for (int64_t s = 0; s < op.num_seqs; ++s) {
    const Cut cut = cut_sequence(op, kernel, s);
    const int64_t groups = cut.num_groups(op.kv.num_kv_heads);
    starts[s + 1] = {starts[s].unit + groups * cut.num_chunks,
                     starts[s].group + groups,
                     starts[s].partial +
                         cut.partial_words(op.kv.num_kv_heads, op.kv.head_dim)};
  }
  const Start& total = starts[op.num_seqs];
  if (total.unit == 0) return;
  auto* chunks_left = arena.take<std::atomic<int32_t>>(total.group);
  auto* partials = arena.take<float>(total.partial);
  const int64_t worker_words = scratch_words(op.kv.head_dim);
  auto* scratch = arena.take<float>(
      worker_words * std::max<uint32_t>(1, parallel.num_threads));
  check_workspace(workspace, arena.used());

  for (int64_t s = 0; s < op.num_seqs; ++s) {
    const auto chunks =
        static_cast<int32_t>(cut_sequence(op, kernel, s).num_chunks);
    for (int64_t g = starts[s].group; g < starts[s + 1].group; ++g) {
      new (&chunks_left[g]) std::atomic<int32_t>(chunks);
    }
  }
  new (next_unit) std::atomic<int64_t>(0);
  Run run{&op,      &kernel, starts,       next_unit, chunks_left,
          partials, scratch, worker_words, 1,         false};
  if (kernel.prepare != nullptr && total.partial > 0) {
    run.prepare = true;
    run_pass(run, parallel);
    run.prepare = false;
  }
  run_pass(run, parallel);
}

void attention(const Attention& op, const AttentionWorkspace& workspace,
               const Parallel& parallel, Isa isa) {
  const AttentionKernel* kernel =
      select_attention_kernel(op.kv.format, op.dtype, isa);
  if (kernel == nullptr) {
    check_attention(op);
    throw sdk::Error(TSR_UNIMPLEMENTED, "attention: no kernel for kv format " +
                                            std::to_string(op.kv.format));
  }
  run_attention(*kernel, op, workspace, parallel);
}

}  // namespace tessera::cpu
