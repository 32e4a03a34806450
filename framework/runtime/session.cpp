// SPDX-License-Identifier: Apache-2.0

#include "framework/runtime/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "framework/runtime/kv_blocks.hpp"
#include "framework/runtime/lowering.hpp"
#include "framework/runtime/stage.hpp"
#include "framework/runtime/step_history.hpp"

namespace tessera {
namespace {

using Clock = std::chrono::steady_clock;

uint64_t nanoseconds(Clock::duration duration) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count());
}

StepLimits limits_of(const SessionOptions& options) {
  const uint32_t blocks =
      (options.max_context + options.block_size - 1) / options.block_size;
  return {options.max_tokens, options.max_seqs, options.max_outputs, blocks};
}

Status check_options(const SessionOptions& options) {
  if (options.max_tokens == 0 || options.max_seqs == 0 ||
      options.max_outputs == 0 || options.max_context == 0 ||
      options.block_size == 0) {
    return {TSR_INVALID_ARGUMENT,
            "session: max_tokens, max_seqs, max_outputs, max_context and "
            "block_size must be at least 1"};
  }
  return {};
}

}  // namespace

struct Session::State {
  State(Graph model, WeightSource weights, const SessionOptions& chosen)
      : graph(std::move(model)),
        source(std::move(weights)),
        options(chosen),
        limits(limits_of(chosen)),
        blocks(chosen.kv_blocks, chosen.block_size, chosen.max_seqs,
               limits.max_blocks_per_seq) {
    order.reserve(chosen.max_seqs);
    output_starts.reserve(chosen.max_seqs);
    seen.assign(chosen.max_seqs, 0);
    if (!chosen.keep_history) return;
    plain_graph = graph;
    history.reserve(uint64_t{chosen.max_seqs} * (chosen.max_context + 2));
  }

  Graph graph;
  Graph plain_graph;  // before any plan; only with options.keep_history
  WeightSource source;
  SessionOptions options;
  StepLimits limits;
  KvBlocks blocks;
  // What steps with prompt tokens run, and what all others do: the same, or
  // nothing here.
  std::unique_ptr<StageSet> prompt_stages;
  std::unique_ptr<StageSet> decode_stages;
  Memory memory;
  StepTimes times;
  const float* logits = nullptr;        // of the last step
  std::vector<uint32_t> order;          // feeds, decode ones first
  std::vector<uint32_t> output_starts;  // of each feed
  std::vector<uint8_t> seen;            // sequences of this step
  StepSize size;
  std::vector<tsr_kernel_record> simulated;  // not yet taken
  StepHistory history;        // of finished steps, with options.keep_history
  std::string failed_device;  // of the last step

  // Loads what `plan` asks for.
  Status load(const Plan& plan, const DeviceMap& devices);
  Status load_set(const StageInputs& inputs, const DeviceMap& devices,
                  std::unique_ptr<StageSet>& out_set);
  void unload();
  const StageSet& stages_for(std::span<const Feed> feeds) const;
  std::vector<const Stage*> all_stages() const;
  Status run(std::span<const Feed> feeds);
  // Runs the steps of the history again; they count for nothing.
  Status replay();
  Status replay_events();

  Status check_feeds(std::span<const Feed> feeds);
  Status extend(std::span<const Feed> feeds);
  void undo(std::span<const Feed> feeds, size_t count);
  void order_feeds(std::span<const Feed> feeds);
  void fill(std::span<const Feed> feeds, StepArrays arrays);
  void fill_feed(const Feed& feed, uint32_t row, StepArrays& arrays);
  // Adds what simulated devices took in this step to `times`.
  Status collect_simulated();
};

Status Session::State::check_feeds(std::span<const Feed> feeds) {
  uint64_t tokens = 0;
  uint64_t outputs = 0;
  std::fill(seen.begin(), seen.end(), uint8_t{0});
  for (const Feed& feed : feeds) {
    if (!blocks.is_open(feed.sequence) || seen[feed.sequence] != 0) {
      return {TSR_INVALID_ARGUMENT,
              fmt::format("step: sequence {} is not open or fed twice",
                          feed.sequence)};
    }
    seen[feed.sequence] = 1;
    if (feed.tokens.empty() || feed.num_outputs > feed.tokens.size()) {
      return {TSR_INVALID_ARGUMENT,
              fmt::format("step: {} tokens with {} outputs", feed.tokens.size(),
                          feed.num_outputs)};
    }
    for (const int32_t token : feed.tokens) {
      if (token < 0 || static_cast<uint32_t>(token) >= graph.vocab_size) {
        return {TSR_INVALID_ARGUMENT,
                fmt::format("step: token {} is outside the vocabulary of {}",
                            token, graph.vocab_size)};
      }
    }
    tokens += feed.tokens.size();
    outputs += feed.num_outputs;
  }
  if (tokens == 0 || tokens > options.max_tokens ||
      outputs > options.max_outputs) {
    return {
        TSR_INVALID_ARGUMENT,
        fmt::format("step: {} tokens and {} outputs, at most {} and {}", tokens,
                    outputs, options.max_tokens, options.max_outputs)};
  }
  return {};
}

Status Session::State::extend(std::span<const Feed> feeds) {
  for (size_t i = 0; i < feeds.size(); ++i) {
    const auto count = static_cast<uint32_t>(feeds[i].tokens.size());
    Status status = blocks.extend(feeds[i].sequence, count);
    if (status.ok() && blocks.length(feeds[i].sequence) > options.max_context) {
      blocks.truncate(feeds[i].sequence,
                      blocks.length(feeds[i].sequence) - count);
      status = Status(
          TSR_RESOURCE_EXHAUSTED,
          fmt::format("the context of {} tokens is full", options.max_context));
    }
    if (!status.ok()) {
      undo(feeds, i);
      return status;
    }
  }
  return {};
}

// Takes back what extend() did for the first `count` feeds.
void Session::State::undo(std::span<const Feed> feeds, size_t count) {
  for (const Feed& feed : feeds.first(count)) {
    blocks.truncate(feed.sequence,
                    blocks.length(feed.sequence) -
                        static_cast<uint32_t>(feed.tokens.size()));
  }
}

void Session::State::order_feeds(std::span<const Feed> feeds) {
  order.clear();
  for (const uint32_t phase : {TSR_DECODE, TSR_PREFILL}) {
    for (uint32_t i = 0; i < feeds.size(); ++i) {
      if (feeds[i].phase == phase) order.push_back(i);
    }
  }
}

void Session::State::fill_feed(const Feed& feed, uint32_t row,
                               StepArrays& arrays) {
  const auto count = static_cast<uint32_t>(feed.tokens.size());
  const uint32_t end = blocks.length(feed.sequence);
  const uint32_t begin = end - count;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t at = size.num_tokens + i;
    arrays.token_ids[at] = feed.tokens[i];
    arrays.positions[at] = static_cast<int32_t>(begin + i);
    arrays.slot_mapping[at] = blocks.slot(feed.sequence, begin + i);
  }
  for (uint32_t i = 0; i < feed.num_outputs; ++i) {
    arrays.output_rows[size.num_outputs + i] =
        static_cast<int32_t>(size.num_tokens + count - feed.num_outputs + i);
  }
  std::copy_n(blocks.block_table(feed.sequence), arrays.max_blocks_per_seq,
              arrays.block_table + size_t{row} * arrays.max_blocks_per_seq);
  arrays.q_starts[row] = static_cast<int32_t>(size.num_tokens);
  arrays.seq_lens[row] = static_cast<int32_t>(end);
  size.num_tokens += count;
  size.num_outputs += feed.num_outputs;
  size.max_q_len = std::max(size.max_q_len, count);
  size.max_seq_len = std::max(size.max_seq_len, end);
  if (feed.phase == TSR_DECODE) size.num_decode_tokens += count;
}

void Session::State::fill(std::span<const Feed> feeds, StepArrays arrays) {
  size = {};
  output_starts.assign(feeds.size(), 0);
  for (const uint32_t i : order) {
    output_starts[i] = size.num_outputs;
    fill_feed(feeds[i], size.num_seqs, arrays);
    ++size.num_seqs;
  }
  arrays.q_starts[size.num_seqs] = static_cast<int32_t>(size.num_tokens);
}

Status Session::State::collect_simulated() {
  if (!options.profile) return {};
  for (const Stage* stage : all_stages()) {
    if (stage->device().info().clock != TSR_CLOCK_SIMULATED) continue;
    TSR_ASSIGN_OR_RETURN(const std::vector<tsr_kernel_record> records,
                         stage->device().profile_read());
    for (const tsr_kernel_record& record : records) {
      times.simulated_ns += record.end_ns - record.begin_ns;
    }
    simulated.insert(simulated.end(), records.begin(), records.end());
  }
  return {};
}

Status Session::State::load(const Plan& plan, const DeviceMap& devices) {
  TSR_RETURN_IF_ERROR(bind_attention_scales(plan, graph));
  Residents residents(options.shared);
  const auto inputs = [&](const Plan& of_phase) {
    return StageInputs{graph,           of_phase,           source,
                       limits,          options.block_size, options.kv_blocks,
                       options.profile, &residents};
  };
  TSR_RETURN_IF_ERROR(load_set(inputs(plan), devices, prompt_stages));
  if (plan.decode == nullptr) return {};
  return load_set(inputs(*plan.decode), devices, decode_stages);
}

Status Session::State::load_set(const StageInputs& inputs,
                                const DeviceMap& devices,
                                std::unique_ptr<StageSet>& out_set) {
  TSR_ASSIGN_OR_RETURN(out_set, StageSet::create(inputs, devices));
  for (const std::unique_ptr<Stage>& stage : out_set->stages()) {
    memory.weight_bytes += stage->memory().weight_bytes;
    memory.kv_bytes += stage->memory().kv_bytes;
    memory.workspace_bytes += stage->memory().workspace_bytes;
  }
  return {};
}

void Session::State::unload() {
  prompt_stages.reset();
  decode_stages.reset();
  memory = {};
}

const StageSet& Session::State::stages_for(std::span<const Feed> feeds) const {
  const bool decodes =
      std::all_of(feeds.begin(), feeds.end(),
                  [](const Feed& feed) { return feed.phase == TSR_DECODE; });
  return decodes && decode_stages ? *decode_stages : *prompt_stages;
}

std::vector<const Stage*> Session::State::all_stages() const {
  std::vector<const Stage*> all;
  for (const StageSet* set : {prompt_stages.get(), decode_stages.get()}) {
    if (set == nullptr) continue;
    for (const auto& stage : set->stages()) all.push_back(stage.get());
  }
  return all;
}

// One step.  On failure the sequences are as before it.
Status Session::State::run(std::span<const Feed> feeds) {
  failed_device.clear();
  if (prompt_stages == nullptr) {
    return {TSR_FAILED_PRECONDITION, "the session has lost its plan"};
  }
  TSR_RETURN_IF_ERROR(check_feeds(feeds));
  TSR_RETURN_IF_ERROR(extend(feeds));
  order_feeds(feeds);
  const StageSet& set = stages_for(feeds);
  fill(feeds, StepArrays(set.first().arena(), set.first().arena_layout(),
                         limits.max_blocks_per_seq));
  logits = set.logits();
  Status status = set.run(size, times.device_ns, failed_device);
  if (!status.ok()) undo(feeds, feeds.size());
  return status;
}

Status Session::State::replay() {
  const StepTimes before = times;
  TSR_RETURN_IF_ERROR(replay_events());
  times = before;
  if (!options.profile) return {};
  for (const Stage* stage : all_stages()) {
    TSR_RETURN_IF_ERROR(stage->device().profile_read().status());
  }
  return {};
}

// Rows and blocks are given out as they were the first time.
Status Session::State::replay_events() {
  blocks = KvBlocks(options.kv_blocks, options.block_size, options.max_seqs,
                    limits.max_blocks_per_seq);
  std::vector<Feed> feeds;
  for (const StepHistory::Event& event : history.events()) {
    switch (event.kind) {
      case StepHistory::Kind::kOpen:
        TSR_RETURN_IF_ERROR(blocks.open().status());
        break;
      case StepHistory::Kind::kClose:
        blocks.close(event.sequence);
        break;
      case StepHistory::Kind::kStep:
        history.feeds_of(event, feeds);
        TSR_RETURN_IF_ERROR(run(feeds));
        break;
    }
  }
  return {};
}

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::create(
    Graph graph, const Plan& plan, const WeightSource& source,
    const DeviceMap& devices, const SessionOptions& options) {
  TSR_RETURN_IF_ERROR(check_options(options));
  SessionOptions chosen = options;
  if (chosen.kv_blocks == 0) {
    chosen.kv_blocks = limits_of(options).max_blocks_per_seq * options.max_seqs;
  }
  auto state = std::make_unique<State>(std::move(graph), source, chosen);
  TSR_RETURN_IF_ERROR(state->load(plan, devices));
  return std::unique_ptr<Session>(new Session(std::move(state)));
}

Status Session::switch_plan(const Plan& plan, const DeviceMap& devices) {
  State& state = *state_;
  if (!state.options.keep_history) {
    return {TSR_FAILED_PRECONDITION, "the session keeps no history"};
  }
  state.failed_device.clear();
  state.unload();
  state.graph = state.plain_graph;
  Status status = state.load(plan, devices);
  if (status.ok()) status = state.replay();
  if (!status.ok()) state.unload();
  return status;
}

const std::string& Session::failed_device() const {
  return state_->failed_device;
}

Result<uint32_t> Session::open_sequence() {
  TSR_ASSIGN_OR_RETURN(const uint32_t sequence, state_->blocks.open());
  if (state_->options.keep_history) state_->history.open(sequence);
  return sequence;
}

void Session::close_sequence(uint32_t sequence) {
  if (!state_->blocks.is_open(sequence)) return;
  state_->blocks.close(sequence);
  if (state_->options.keep_history) state_->history.close(sequence);
}

uint32_t Session::sequence_length(uint32_t sequence) const {
  return state_->blocks.length(sequence);
}

Status Session::step(std::span<const Feed> feeds) {
  State& state = *state_;
  const Clock::time_point begin = Clock::now();
  TSR_RETURN_IF_ERROR(state.run(feeds));
  if (state.options.keep_history) state.history.add_step(feeds);
  TSR_RETURN_IF_ERROR(state.collect_simulated());
  ++state.times.num_steps;
  state.times.total_ns += nanoseconds(Clock::now() - begin);
  return {};
}

std::span<const float> Session::logits(size_t feed, uint32_t row) const {
  const size_t vocab_size = state_->graph.vocab_size;
  return {state_->logits + (state_->output_starts[feed] + row) * vocab_size,
          vocab_size};
}

const Graph& Session::graph() const { return state_->graph; }
const SessionOptions& Session::options() const { return state_->options; }
const StepTimes& Session::times() const { return state_->times; }
void Session::reset_times() { state_->times = {}; }
const Session::Memory& Session::memory() const { return state_->memory; }
uint32_t Session::num_programs() const {
  if (state_->prompt_stages == nullptr) return 0;
  return static_cast<uint32_t>(state_->prompt_stages->stages().size());
}

Result<std::vector<tsr_kernel_record>> Session::take_profile() {
  std::vector<tsr_kernel_record> records = std::move(state_->simulated);
  state_->simulated.clear();
  for (const Stage* stage : state_->all_stages()) {
    TSR_ASSIGN_OR_RETURN(std::vector<tsr_kernel_record> more,
                         stage->device().profile_read());
    records.insert(records.end(), more.begin(), more.end());
  }
  return records;
}

}  // namespace tessera
