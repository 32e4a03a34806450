// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/model/model_timing.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <set>
#include <utility>

namespace tessera::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Sequences of one run; closed at its end.
class Sequences {
 public:
  Sequences(Session& session, const ModelLoad& load)
      : session_(session), load_(load) {
    std::mt19937 rng(42);
    tokens_.resize(size_t{load.context} * load.batch);
    for (int32_t& token : tokens_) {
      token = static_cast<int32_t>(rng() % session.graph().vocab_size);
    }
  }
  ~Sequences() {
    for (const uint32_t id : ids_) session_.close_sequence(id);
  }
  Sequences(const Sequences&) = delete;
  Sequences& operator=(const Sequences&) = delete;

  Status open() {
    for (uint32_t i = 0; i < load_.batch; ++i) {
      TSR_ASSIGN_OR_RETURN(const uint32_t id, session_.open_sequence());
      ids_.push_back(id);
    }
    return {};
  }

  // Feeds the prompts, one sequence after the other, as much as a step takes.
  // `done` is called after each step with the number of finished prompts.
  template <typename Done>
  Status prefill(const Done& done) {
    uint32_t sequence = 0;
    uint32_t at = 0;
    while (sequence < load_.batch) {
      std::vector<Feed> feeds;
      uint32_t room = session_.options().max_tokens;
      while (sequence < load_.batch && room > 0) {
        const uint32_t count = std::min(room, load_.context - at);
        const bool is_last = at + count == load_.context;
        feeds.push_back({ids_[sequence],
                         std::span(tokens_).subspan(
                             size_t{sequence} * load_.context + at, count),
                         TSR_PREFILL, is_last ? 1U : 0U});
        room -= count;
        at = is_last ? 0 : at + count;
        if (is_last) ++sequence;
        if (!is_last) break;
      }
      TSR_RETURN_IF_ERROR(session_.step(feeds));
      done(sequence);
    }
    return {};
  }

  Status decode_step() {
    feeds_.clear();
    for (uint32_t i = 0; i < load_.batch; ++i) {
      feeds_.push_back(
          {ids_[i], std::span(tokens_).subspan(i, 1), TSR_DECODE, 1});
    }
    return session_.step(feeds_);
  }

 private:
  Session& session_;
  ModelLoad load_;
  std::vector<int32_t> tokens_;
  std::vector<uint32_t> ids_;
  std::vector<Feed> feeds_;
};

// Time since it was made or last asked, on either clock.
class Watch {
 public:
  Watch(const Session& session, bool simulated)
      : session_(session),
        simulated_(simulated),
        begin_(Clock::now()),
        simulated_begin_(session.times().simulated_ns) {}

  double elapsed_ns() const {
    if (simulated_) {
      return static_cast<double>(session_.times().simulated_ns -
                                 simulated_begin_);
    }
    return std::chrono::duration<double, std::nano>(Clock::now() - begin_)
        .count();
  }

 private:
  const Session& session_;
  bool simulated_;
  Clock::time_point begin_;
  uint64_t simulated_begin_;
};

// Adds what a step's kernels took to its ops, each op of a kernel alike.
class Sums {
 public:
  Sums(const Graph& graph, const std::vector<uint32_t>& program_ops)
      : graph_(graph), program_ops_(program_ops) {}

  void add(const std::vector<tsr_kernel_record>& records, bool is_prefill) {
    for (const tsr_kernel_record& record : records) {
      programs_.insert(record.program);
    }
    for (const tsr_kernel_record& record : records) {
      const uint32_t num_ops = std::max(1U, record.num_ops);
      const double ns =
          static_cast<double>(record.end_ns - record.begin_ns) / num_ops;
      const uint32_t first = first_op(record.program) + record.first_op;
      for (uint32_t i = 0; i < num_ops; ++i) {
        if (first + i < graph_.ops.size()) add_op(first + i, ns, is_prefill);
      }
    }
  }

  Breakdown take() {
    Breakdown result;
    for (auto& [name, share] : ops_) result.ops.push_back(std::move(share));
    std::stable_sort(result.ops.begin(), result.ops.end(),
                     [](const TimeShare& a, const TimeShare& b) {
                       return a.prefill_ns + a.decode_ns >
                              b.prefill_ns + b.decode_ns;
                     });
    for (auto& [layer, share] : layers_) {
      result.layers.push_back(std::move(share));
    }
    return result;
  }

 private:
  // Programs are made in order, and so are their ids.
  uint32_t first_op(uint64_t program) const {
    const auto place = static_cast<size_t>(
        std::distance(programs_.begin(), programs_.find(program)));
    return place < program_ops_.size() ? program_ops_[place] : 0;
  }

  static std::string layer_name(int32_t layer) {
    if (layer == kBeforeLayers) return "embedding";
    return layer == kAfterLayers ? "head" : "layer " + std::to_string(layer);
  }

  // "mlp.gate_proj" of "layers.3.mlp.gate_proj".
  static std::string op_name(const GraphOp& op) {
    if (op.layer == kBeforeLayers || op.layer == kAfterLayers) return op.name;
    const std::string prefix = "layers." + std::to_string(op.layer) + ".";
    return op.name.starts_with(prefix) ? op.name.substr(prefix.size())
                                       : op.name;
  }

  void add_op(uint32_t index, double ns, bool is_prefill) {
    const GraphOp& op = graph_.ops[index];
    const std::string name = op_name(op);
    for (TimeShare* share : {&ops_[name], &layers_[op.layer]}) {
      (is_prefill ? share->prefill_ns : share->decode_ns) += ns;
    }
    ops_[name].name = name;
    layers_[op.layer].name = layer_name(op.layer);
  }

  const Graph& graph_;
  const std::vector<uint32_t>& program_ops_;
  std::set<uint64_t> programs_;
  std::map<std::string, TimeShare> ops_;
  std::map<int32_t, TimeShare> layers_;
};

// Uses what a run does: memory that nobody has written yet would cost the op
// that is first to (kv_append, say) what the system takes to find pages.
Status warm_up(Session& session, const ModelLoad& load) {
  Sequences sequences(session, load);
  TSR_RETURN_IF_ERROR(sequences.open());
  TSR_RETURN_IF_ERROR(sequences.prefill([](uint32_t) {}));
  return sequences.decode_step();
}

}  // namespace

Result<ModelSample> run_model(Session& session, const ModelLoad& load,
                              bool simulated) {
  Sequences sequences(session, load);
  TSR_RETURN_IF_ERROR(sequences.open());
  ModelSample sample;
  const Watch prefill(session, simulated);
  TSR_RETURN_IF_ERROR(sequences.prefill([&](uint32_t finished) {
    if (finished > 0 && sample.first_token_ns == 0.0) {
      sample.first_token_ns = prefill.elapsed_ns();
    }
  }));
  sample.prefill_ns = prefill.elapsed_ns();
  for (uint32_t i = 0; i < load.tokens; ++i) {
    const Watch step(session, simulated);
    TSR_RETURN_IF_ERROR(sequences.decode_step());
    sample.step_ns.push_back(step.elapsed_ns());
  }
  return sample;
}

Result<Breakdown> break_down(Session& session, const ModelLoad& load,
                             const std::vector<uint32_t>& program_ops) {
  TSR_RETURN_IF_ERROR(warm_up(session, load));
  TSR_RETURN_IF_ERROR(session.take_profile().status());
  Sequences sequences(session, load);
  TSR_RETURN_IF_ERROR(sequences.open());
  Sums sums(session.graph(), program_ops);
  TSR_RETURN_IF_ERROR(sequences.prefill([](uint32_t) {}));
  TSR_ASSIGN_OR_RETURN(std::vector<tsr_kernel_record> records,
                       session.take_profile());
  if (records.empty()) {
    return Status(TSR_UNIMPLEMENTED, "no device keeps records of its kernels");
  }
  sums.add(records, true);
  for (uint32_t i = 0; i < load.tokens; ++i) {
    TSR_RETURN_IF_ERROR(sequences.decode_step());
    TSR_ASSIGN_OR_RETURN(records, session.take_profile());
    sums.add(records, false);
  }
  return sums.take();
}

}  // namespace tessera::bench
