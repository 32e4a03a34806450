// SPDX-License-Identifier: Apache-2.0
//
// Malformed programs and submissions are refused or run, but never read or
// write out of bounds: whole records are changed at random, from a fixed seed,
// and given to the views and to a plugin.  Meant for the sanitizer builds.

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <random>

#include "tessera/capability.hpp"
#include "tessera/operands.hpp"
#include "tests/abi/probe_session.hpp"

namespace tessera::abi_test {
namespace {

constexpr uint32_t kPrograms = 20000;
constexpr uint32_t kSubmissions = 20000;

// A copy of a record in memory of exactly its size, so that a sanitizer sees
// the first byte read past it.
class ExactRecord {
 public:
  explicit ExactRecord(const std::vector<uint64_t>& words)
      : words_(std::make_unique<uint64_t[]>(words.size())) {
    std::copy(words.begin(), words.end(), words_.get());
  }
  template <typename Head>
  const Head* as() const {
    return reinterpret_cast<const Head*>(words_.get());
  }

 private:
  std::unique_ptr<uint64_t[]> words_;
};

class Mutator {
 public:
  // Changes 1 to 4 places of `record`; it stays as long as it says it is.
  std::vector<uint64_t> mutate(std::vector<uint64_t> record) {
    const uint32_t changes = 1 + below(4);
    for (uint32_t i = 0; i < changes; ++i) change(record);
    auto* words = reinterpret_cast<uint32_t*>(record.data());
    const auto bytes = static_cast<uint32_t>(record.size() * 8);
    words[1] = std::min(words[1], bytes);  // record_bytes
    return record;
  }

 private:
  uint32_t below(uint32_t limit) {
    return std::uniform_int_distribution<uint32_t>(0, limit - 1)(rng_);
  }
  uint32_t interesting(uint32_t now, uint32_t bytes) {
    const std::array<uint32_t, 16> values = {
        0,         1,       2,       4,          7,
        8,         16,      bytes,   bytes - 8,  bytes + 8,
        now + 1,   now - 1, now * 2, UINT32_MAX, UINT32_MAX - 7,
        0x80000000};
    return values[below(values.size())];
  }
  void change(std::vector<uint64_t>& record) {
    auto* words = reinterpret_cast<uint32_t*>(record.data());
    const auto count = static_cast<uint32_t>(record.size() * 2);
    const uint32_t at = below(count);
    switch (below(5)) {
      case 0:
        words[at] ^= 1U << below(32);
        break;
      case 1:
        words[at] = static_cast<uint32_t>(rng_());
        break;
      case 2:
        words[at] = words[below(count)];
        break;
      case 3:
        if (record.size() > 2) record.resize(2 + below(count / 2 - 2));
        break;
      default:
        words[at] = interesting(words[at], count * 4);
        break;
    }
  }

  std::mt19937 rng_{42};
};

// One op of each kind, views, transients, bindings and extensions.
std::vector<uint64_t> make_rich_program() {
  ProgramBuilder builder;
  builder.desc.id = kProgram;
  builder.weights = {kWeight};
  builder.kv_pools = {kPool};
  const uint32_t x = builder.tokens(TSR_F32, {4});
  const uint32_t hidden = builder.tokens(TSR_F32, {4});
  const uint32_t y = builder.tokens(TSR_F32, {4});
  const uint32_t wide = builder.tokens(TSR_F32, {8});
  const uint32_t half = builder.tokens(TSR_F32, {4});
  builder.tensors[hidden].flags = TSR_TENSOR_TRANSIENT;
  builder.tensors[wide].flags = TSR_TENSOR_TRANSIENT;
  builder.tensors[half].view_of = wide;
  builder.tensors[half].row_stride = 8;
  builder.tensors[half].view_offset = 4;
  tsr_op_linear linear{};
  linear.x = x;
  linear.y = hidden;
  linear.bias = linear.multiplier = linear.residual = TSR_NONE;
  builder.op(TSR_OP_LINEAR, linear,
             {make_extension("dev.tessera.first", 0, {1, 2, 3}),
              make_extension("dev.tessera.second", 0)});
  builder.op(TSR_OP_ADD, tsr_op_elementwise{{}, hidden, x, half, 0});
  builder.op(TSR_OP_ADD, tsr_op_elementwise{{}, half, x, y, 0});
  builder.bindings = {{x, 0, kBuffer, 0}, {y, 0, kBuffer, 1024}};
  builder.extension = make_extension("dev.tessera.program", 0, {7});
  return builder.build();
}

// The other ops, which the probe refuses but the capability reader must read.
std::vector<uint64_t> make_attention_program() {
  ProgramBuilder builder;
  builder.kv_pools = {kPool};
  const uint32_t q = builder.tokens(TSR_F32, {4, 4});
  const uint32_t k = builder.tokens(TSR_F32, {2, 4});
  const uint32_t ids = builder.tokens(TSR_I32, {});
  const uint32_t starts = builder.tensor(TSR_I32, {{3, TSR_DIM_SEQS_PLUS_ONE}});
  const uint32_t table =
      builder.tensor(TSR_I32, {{2, TSR_DIM_SEQS}, {4, TSR_DIM_FIXED}});
  const uint32_t cosines = builder.fixed(TSR_F32, {32, 4});
  const uint32_t gain = builder.fixed(TSR_F32, {4});
  builder.op(
      TSR_OP_KV_APPEND,
      tsr_op_kv_append{
          {}, k, k, 0, ids, ids, cosines, TSR_ROPE_HALF, 4, TSR_NONE, 0});
  builder.op(TSR_OP_ATTENTION, tsr_op_attention{{},
                                                q,
                                                q,
                                                0,
                                                starts,
                                                starts,
                                                table,
                                                4,
                                                TSR_MASK_CAUSAL,
                                                0,
                                                0.5F,
                                                TSR_NONE,
                                                TSR_NONE,
                                                TSR_NONE,
                                                TSR_NONE});
  builder.op(TSR_OP_RMS_NORM, tsr_op_norm{{}, q, q, gain, TSR_NONE, 1e-5F, 0});
  builder.op(TSR_OP_ROPE,
             tsr_op_rope{{}, q, q, ids, cosines, TSR_ROPE_HALF, 4});
  builder.op(TSR_OP_SOFTMAX, tsr_op_softmax{{}, q, q, 1, 0});
  builder.op(TSR_OP_EMBEDDING, tsr_op_gather{{}, cosines, ids, gain, 0});
  return builder.build();
}

class RecordFuzz : public testing::Test {
 protected:
  RecordFuzz() {
    weight_.desc.planes.count = 1;
    pool_.struct_size = sizeof(pool_);
    pool_.format = TSR_KV_F32;
    pool_.num_kv_heads = 2;
    pool_.head_dim = 4;
    pool_.block_size = 2;
    pool_.num_blocks = 3;
  }

  // Reads everything a view offers; true if the record is well-formed.
  bool read(const tsr_program_desc* program) {
    try {
      const sdk::ProgramView view(program);
      for (const sdk::OpRecord& op : view.ops()) {
        op.each_extension(
            [&](const tsr_record_ext&, const char* payload, uint32_t bytes) {
              for (uint32_t i = 0; i < bytes; ++i)
                sum_ += static_cast<unsigned char>(payload[i]);
            });
        sum_ += sdk::operands_of(op).reads.size();
      }
      const sdk::ProgramQuestion question{view, {weight_.desc}, {pool_}};
      sum_ += sdk::check_against(rows_, question).size();
      return true;
    } catch (const sdk::Error& error) {
      EXPECT_EQ(error.code(), TSR_INVALID_ARGUMENT) << error.what();
      return false;
    }
  }

  const float codes_[16] = {};
  F32Weight weight_{4, 4, codes_};
  tsr_kv_desc pool_{};
  const tsr_kernel_desc any_row_[1] = {};
  const tsr_array rows_{any_row_, 1, sizeof(any_row_[0])};
  uint64_t sum_ = 0;
};

TEST_F(RecordFuzz, TheSeedsAreWellFormed) {
  EXPECT_TRUE(read(as_program(make_rich_program())));
}

TEST_F(RecordFuzz, ProgramViewsStayInBounds) {
  Mutator mutator;
  const std::vector<std::vector<uint64_t>> seeds = {make_rich_program(),
                                                    make_attention_program()};
  uint32_t well_formed = 0;
  for (uint32_t i = 0; i < kPrograms; ++i) {
    const ExactRecord record(mutator.mutate(seeds[i % seeds.size()]));
    well_formed += read(record.as<tsr_program_desc>()) ? 1 : 0;
  }
  // Both outcomes must occur, or the fuzzer tests nothing.
  EXPECT_GT(well_formed, kPrograms / 100);
  EXPECT_LT(well_formed, kPrograms);
}

TEST_F(RecordFuzz, SubmissionViewsStayInBounds) {
  SubmissionBuilder builder;
  builder.waits = {{1, 2}};
  builder.signals = {{1, 3}, {2, 4}};
  builder.bindings = {{0, 0, 1, 0}};
  builder.blocks = {{0, 1}, {1, 2}};
  builder.extension = make_extension("dev.tessera.step", 0, {7});
  const auto seed = builder.build();
  Mutator mutator;
  for (uint32_t i = 0; i < kSubmissions; ++i) {
    const ExactRecord record(mutator.mutate(seed));
    try {
      const sdk::SubmissionView view(record.as<tsr_submission>());
      for (const tsr_point& p : view.waits().all()) sum_ += p.value;
      for (const tsr_point& p : view.signals().all()) sum_ += p.value;
      for (const tsr_binding& b : view.bindings().all()) sum_ += b.offset;
      for (const tsr_block_pair& b : view.blocks().all()) sum_ += b.src;
      view.extensions().each(
          [&](const tsr_record_ext&, const char* payload, uint32_t bytes) {
            for (uint32_t at = 0; at < bytes; ++at)
              sum_ += static_cast<unsigned char>(payload[at]);
          });
    } catch (const sdk::Error& error) {
      ASSERT_EQ(error.code(), TSR_INVALID_ARGUMENT) << error.what();
    }
  }
}

class PluginFuzz : public RecordFuzz {
 protected:
  PluginFuzz() {
    session_.require(
        session_.api().packing_begin(session_.device, kWeight, &weight_.desc,
                                     kBuffer, 2048, &session_.error, &packing_),
        "packing_begin");
    session_.api().packing_slice(packing_, 0, 4, &weight_.desc, nullptr);
    session_.require(session_.api().packing_end(packing_, 1, &session_.error),
                     "packing_end");
    session_.require(session_.api().kv_create(session_.device, kPool, &pool_,
                                              kBuffer, 3072, &session_.error),
                     "kv_create");
  }
  tsr_status create(const std::vector<uint64_t>& program) {
    tsr_program_info info{};
    info.struct_size = sizeof(info);
    return session_.api().program_create(session_.device, as_program(program),
                                         &session_.error, &info);
  }
  static std::vector<uint64_t> make_step() {
    SubmissionBuilder step;
    step.value.kind = TSR_SUBMIT_PROGRAM;
    step.value.program = kProgram;
    step.value.num_tokens = 8;
    step.value.num_seqs = 2;
    step.value.num_outputs = 2;
    step.value.src = kPool;
    step.value.dst = kPool;
    step.blocks = {{0, 1}, {2, 0}};
    step.signals = {{kTimeline, 1}};
    step.bindings = {{0, 0, kBuffer, 256}};
    return step.build();
  }

  ProbeSession session_{PROBE_PLUGIN};
  tsr_packing* packing_ = nullptr;
};

// Whatever a changed program still means, its steps stay in their buffers.
TEST_F(PluginFuzz, ChangedProgramsRunInBounds) {
  const auto seed = make_rich_program();
  const auto step = make_step();
  Mutator mutator;
  uint32_t ran = 0;
  for (uint32_t i = 0; i < kPrograms / 4; ++i) {
    auto record = mutator.mutate(seed);
    const ExactRecord exact(record);
    tsr_program_info info{};
    info.struct_size = sizeof(info);
    const tsr_status created = session_.api().program_create(
        session_.device, exact.as<tsr_program_desc>(), &session_.error, &info);
    if (created != TSR_OK) continue;
    const uint64_t id = exact.as<tsr_program_desc>()->id;
    if (id == kProgram &&
        session_.api().queue_submit(session_.queue, as_submission(step),
                                    &session_.error) == TSR_OK) {
      ran += session_.timeline.status == TSR_OK ? 1 : 0;
      session_.timeline.status = TSR_OK;
    }
    session_.api().program_destroy(session_.device, id);
  }
  EXPECT_GT(ran, 100u);
}

TEST_F(PluginFuzz, ChangedSubmissionsRunInBounds) {
  ASSERT_EQ(create(make_rich_program()), TSR_OK) << session_.error.message;
  auto seed = make_step();
  auto* kind = reinterpret_cast<uint32_t*>(seed.data()) +
               offsetof(tsr_submission, kind) / sizeof(uint32_t);
  Mutator mutator;
  uint32_t ran = 0;
  for (uint32_t i = 0; i < kSubmissions; ++i) {
    *kind = 1 + i % 5;
    const ExactRecord record(mutator.mutate(seed));
    session_.timeline.value = 0;
    session_.timeline.status = TSR_OK;
    if (session_.api().queue_submit(session_.queue, record.as<tsr_submission>(),
                                    &session_.error) == TSR_OK) {
      ran += session_.timeline.status == TSR_OK ? 1 : 0;
    }
  }
  EXPECT_GT(ran, 100u);
}

}  // namespace
}  // namespace tessera::abi_test
