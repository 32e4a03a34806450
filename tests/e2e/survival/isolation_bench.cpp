// SPDX-License-Identifier: Apache-2.0
//
// What a child process costs a decode step: the same steps in turns in this
// process and in a child, so that a busy machine slows both alike.  And what it
// costs a submission that has next to nothing to do.
//
// Usage: isolation_bench [default|qwen3-0.6b] [SCHEME] [STEPS] [THREADS]

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "framework/host/device/record_builder.hpp"
#include "framework/model/build_graph.hpp"
#include "framework/model/config.hpp"
#include "framework/planner/plan.hpp"
#include "tests/e2e/loaded_model.hpp"

namespace tessera::e2e {
namespace {

constexpr const char* kQwen3 = R"({
  "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3",
  "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28,
  "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
  "vocab_size": 151936, "max_position_embeddings": 40960,
  "rms_norm_eps": 1e-6, "rope_theta": 1000000, "hidden_act": "silu",
  "tie_word_embeddings": true, "torch_dtype": "bfloat16"})";

// BF16 numbers of a trained model's size: every tensor is the front of one
// table.
class RandomSource {
 public:
  RandomSource(const Graph& graph, const ModelConfig& config)
      : table_(size_t{config.vocab_size} * config.hidden_size * 2) {
    std::mt19937 rng(42);
    for (size_t i = 0; i < table_.size(); i += 2) {
      const auto bits = static_cast<uint16_t>(0x3c00u + (rng() & 0xffu) +
                                              ((rng() & 1u) << 15));
      table_[i] = static_cast<std::byte>(bits & 0xffu);
      table_[i + 1] = static_cast<std::byte>(bits >> 8);
    }
    for (const GraphWeight& weight : graph.weights) {
      shapes_[weight.source] = {weight.N, weight.K};
    }
    for (const GraphTensor& tensor : graph.tensors) {
      if (tensor.source.empty() || shapes_.contains(tensor.source)) continue;
      for (const tsr_dim& dim : tensor.dims) {
        shapes_[tensor.source].push_back(dim.max);
      }
    }
  }
  WeightSource source() const {
    WeightSource source;
    source.tensor = [this](const std::string& name) -> Result<SourceTensor> {
      const auto found = shapes_.find(name);
      if (found == shapes_.end()) return Status(TSR_NOT_FOUND, name);
      uint64_t bytes = 2;
      for (const uint64_t size : found->second) bytes *= size;
      return SourceTensor{TSR_BF16, found->second,
                          std::span(table_).first(bytes), nullptr};
    };
    return source;
  }

 private:
  std::vector<std::byte> table_;
  std::map<std::string, std::vector<uint64_t>> shapes_;
};

struct Contender {
  const char* name;
  std::shared_ptr<Device> device;
  std::unique_ptr<Session> session;
  uint32_t sequence = 0;
  std::vector<double> step_us;
};

void print(Contender& contender) {
  std::vector<double>& times = contender.step_us;
  std::sort(times.begin(), times.end());
  std::printf("%-12s min %.1f us, 10%% %.1f us, median %.1f us of %zu steps\n",
              contender.name, times.front(), times[times.size() / 10],
              times[times.size() / 2], times.size());
}

Status step(Contender& contender, std::span<const int32_t> tokens,
            uint32_t phase) {
  const Feed feed{contender.sequence, tokens, phase, 1};
  const auto begin = std::chrono::steady_clock::now();
  TSR_RETURN_IF_ERROR(contender.session->step({&feed, 1}));
  contender.step_us.push_back(std::chrono::duration<double, std::micro>(
                                  std::chrono::steady_clock::now() - begin)
                                  .count());
  return {};
}

// Copies 4 bytes again and again, and waits each time; the median of a
// submission in us.
Result<double> time_submissions(const std::shared_ptr<Device>& device) {
  constexpr uint64_t kTimes = 4000;
  TSR_ASSIGN_OR_RETURN(const uint32_t kind,
                       device->memory_kind_with(TSR_MEMORY_HOST_VISIBLE));
  TSR_ASSIGN_OR_RETURN(const Buffer buffer, device->create_buffer(4096, kind));
  TSR_ASSIGN_OR_RETURN(Queue queue, device->create_queue());
  Timeline timeline;
  TSR_ASSIGN_OR_RETURN(const uint64_t id, timeline.import_into(device));
  std::vector<double> times;
  for (uint64_t value = 1; value <= kTimes; ++value) {
    SubmissionBuilder work(TSR_SUBMIT_COPY);
    work.record().src = work.record().dst = buffer.id();
    work.record().dst_offset = 2048;
    work.record().bytes = 4;
    work.add_signal({id, value});
    const auto begin = std::chrono::steady_clock::now();
    TSR_RETURN_IF_ERROR(queue.submit(work.record()));
    TSR_RETURN_IF_ERROR(timeline.wait(value));
    times.push_back(std::chrono::duration<double, std::micro>(
                        std::chrono::steady_clock::now() - begin)
                        .count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

Status run(const std::string& what, const std::string& scheme_name,
           uint64_t steps, uint32_t threads) {
  TSR_ASSIGN_OR_RETURN(const Scheme scheme, find_scheme(scheme_name));
  std::optional<Model> model;
  std::optional<RandomSource> random;
  ModelConfig config;
  if (what == "default") {
    TSR_ASSIGN_OR_RETURN(model, open_model(default_model_folder()));
    config = model->config;
  } else if (what == "qwen3-0.6b") {
    TSR_ASSIGN_OR_RETURN(config, parse_config(kQwen3, what));
  } else {
    return {TSR_INVALID_ARGUMENT,
            "no model '" + what + "'; there are default and qwen3-0.6b"};
  }
  const auto context = static_cast<uint32_t>(
      std::min<uint64_t>(config.max_positions, steps + 32));
  TSR_ASSIGN_OR_RETURN(const Graph graph, build_graph(config, context));
  if (!model) random.emplace(graph, config);
  const WeightSource source = model ? model->source : random->source();
  Contender contenders[] = {{"in process", nullptr, nullptr, 0, {}},
                            {"isolated", nullptr, nullptr, 0, {}}};
  const std::vector<int32_t> prompt(16, 5);
  for (Contender& contender : contenders) {
    LoadOptions load;
    load.num_threads = threads;
    TSR_ASSIGN_OR_RETURN(contender.device,
                         open_cpu(load, &contender == &contenders[1]));
    SessionOptions options;
    options.max_tokens = 16;
    options.max_context = context;
    TSR_ASSIGN_OR_RETURN(
        contender.session,
        Session::create(graph, uniform_plan(graph, "cpu", scheme), source,
                        {{"cpu", contender.device}}, options));
    TSR_ASSIGN_OR_RETURN(contender.sequence,
                         contender.session->open_sequence());
    TSR_RETURN_IF_ERROR(step(contender, prompt, TSR_PREFILL));
    contender.step_us.clear();
  }
  // A few steps in a row, so that both run as they would alone.
  constexpr uint64_t kInARow = 4;
  for (uint64_t done = 0; done + kInARow <= steps && done + 24 < context;
       done += kInARow) {
    for (Contender& contender : contenders) {
      for (uint64_t i = 0; i < kInARow; ++i) {
        TSR_RETURN_IF_ERROR(
            step(contender, std::span(prompt).first(1), TSR_DECODE));
      }
    }
  }
  for (Contender& contender : contenders) {
    print(contender);
    TSR_ASSIGN_OR_RETURN(const double submit_us,
                         time_submissions(contender.device));
    std::printf("%-12s a submission of next to nothing: median %.1f us\n",
                contender.name, submit_us);
  }
  return {};
}

}  // namespace
}  // namespace tessera::e2e

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "default";
  const std::string scheme = argc > 2 ? argv[2] : "f32";
  const uint64_t steps = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 400;
  const auto threads =
      static_cast<uint32_t>(argc > 4 ? std::strtoul(argv[4], nullptr, 10) : 0);
  const tessera::Status status =
      tessera::e2e::run(what, scheme, steps, threads);
  if (status.ok()) return 0;
  std::fprintf(stderr, "isolation_bench: %s\n", status.message().c_str());
  return 1;
}
