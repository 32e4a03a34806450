// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/bench/model_memory.hpp"

#include <fmt/format.h>

#include <fstream>
#include <limits>
#include <string>

#include "framework/cli/figures.hpp"
#include "framework/cli/inspect/model_size.hpp"
#include "framework/model/build_graph.hpp"

namespace tessera::cli {

namespace {

// Sizes do not depend on the context; the smallest has the smallest tables.
Result<Graph> smallest_graph(const LoadedModel& model) {
  TSR_ASSIGN_OR_RETURN(Graph graph, build_graph(model.model->config, 1));
  mark_stored(model.source, graph);
  return graph;
}

}  // namespace

Result<ModelNeed> model_need(const LoadedModel& model, const Setting& setting,
                             const bench::ModelLoad& load) {
  TSR_ASSIGN_OR_RETURN(const Graph graph, smallest_graph(model));
  const Scheme& scheme = setting.plan ? setting.plan->base : setting.scheme;
  ModelNeed need;
  if (!setting.plan) {
    TSR_ASSIGN_OR_RETURN(const ModelSize size,
                         model_size(graph, model.source, scheme));
    need.weight_bytes = size.weight_bytes;
  }
  TSR_ASSIGN_OR_RETURN(const uint64_t sequence,
                       kv_cache_bytes(graph, scheme.kv_format,
                                      uint64_t{load.context} + load.tokens,
                                      SessionOptions{}.block_size));
  need.kv_bytes = sequence * load.batch;
  return need;
}

Result<double> step_bytes(const LoadedModel& model, const Setting& setting,
                          const bench::ModelLoad& load) {
  if (setting.plan) return 0.0;
  TSR_ASSIGN_OR_RETURN(const Graph graph, smallest_graph(model));
  TSR_ASSIGN_OR_RETURN(const uint64_t weights,
                       product_bytes(graph, setting.scheme));
  // So many that what a block is rounded up to does not show.
  constexpr uint32_t kTokens = 4096;
  TSR_ASSIGN_OR_RETURN(
      const uint64_t cached,
      kv_cache_bytes(graph, setting.scheme.kv_format, kTokens, kTokens));
  const double seen = load.context + 0.5 * (load.tokens + 1.0);
  return static_cast<double>(weights) +
         load.batch * seen * static_cast<double>(cached) / kTokens;
}

Status check_memory(const ModelNeed& need, uint64_t free_bytes) {
  if (need.bytes() <= free_bytes) return {};
  return {TSR_RESOURCE_EXHAUSTED,
          fmt::format("needs {} at least ({} of weights, {} of KV cache), and "
                      "{} of memory are free",
                      bytes_text(need.bytes()), bytes_text(need.weight_bytes),
                      bytes_text(need.kv_bytes), bytes_text(free_bytes))};
}

// Source: Linux, Documentation/filesystems/proc.rst, MemAvailable.
uint64_t free_memory() {
  std::ifstream file("/proc/meminfo");
  std::string word;
  while (file >> word) {
    uint64_t kibibytes = 0;
    if (word == "MemAvailable:" && file >> kibibytes) return kibibytes << 10;
  }
  return std::numeric_limits<uint64_t>::max();
}

}  // namespace tessera::cli
