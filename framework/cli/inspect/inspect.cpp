// SPDX-License-Identifier: Apache-2.0
//
// tessera inspect: what a model is made of, and what it would take to run it.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "framework/cli/command.hpp"
#include "framework/cli/console.hpp"
#include "framework/cli/figures.hpp"
#include "framework/cli/inspect/model_size.hpp"
#include "framework/cli/json_output.hpp"
#include "framework/cli/loaded_model.hpp"
#include "framework/cli/table.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/format/weight.hpp"
#include "framework/model/build_graph.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::cli {
namespace {

constexpr uint32_t kBlockSize = SessionOptions{}.block_size;

struct InspectOptions {
  std::string model;
  bool estimate = false;
  bool json = false;
};

// An op with numbers of its own.
struct LayerEntry {
  std::string name;
  std::string op;
  std::vector<uint64_t> shape;  // of its weight; its bias is in `bytes` alone
  std::string scheme;
  uint64_t bytes = 0;
};

// Adds a tensor of the file to the op that reads it.
void add_tensor(const SourceTensor& tensor, LayerEntry& entry) {
  if (entry.shape.empty()) {
    entry.shape = tensor.shape;
    entry.scheme = dtype_name(tensor.dtype);
  }
  entry.bytes += tensor.bytes.size();
}

// Adds a weight that the file has quantized.
Status add_stored(const GraphWeight& weight, LayerEntry& entry) {
  entry.shape = {weight.N, weight.K};
  entry.scheme = format::weight_format_name(weight.stored->format);
  TSR_ASSIGN_OR_RETURN(
      const uint64_t bytes,
      encoded_bytes(*weight.stored, weight.N, weight.K).annotate(weight.name));
  entry.bytes += bytes;
  return {};
}

Result<std::vector<LayerEntry>> list_layers(const Graph& graph,
                                            const WeightSource& source) {
  std::vector<LayerEntry> entries;
  for (const GraphOp& op : graph.ops) {
    LayerEntry entry;
    entry.name = op.name;
    entry.op = op_kind_name(op_head(op.body).kind);
    std::vector<std::string> sources;
    const auto* linear = std::get_if<tsr_op_linear>(&op.body);
    if (linear != nullptr) {
      const GraphWeight& weight = graph.weights[linear->weight];
      if (weight.stored) {
        TSR_RETURN_IF_ERROR(add_stored(weight, entry));
      } else {
        sources.push_back(weight.source);
      }
    }
    for (const uint32_t id : op_tensors(op.body).reads) {
      const GraphTensor& tensor = graph.tensors[id];
      if (tensor.constant && !tensor.source.empty()) {
        sources.push_back(tensor.source);
      }
    }
    for (const std::string& name : sources) {
      TSR_ASSIGN_OR_RETURN(const SourceTensor tensor, source.tensor(name));
      add_tensor(tensor, entry);
    }
    if (entry.bytes > 0) entries.push_back(std::move(entry));
  }
  return entries;
}

// "layers.*.mlp.down_proj" for "layers.3.mlp.down_proj".
std::string without_layer(const std::string& name) {
  constexpr std::string_view kPrefix = "layers.";
  if (!name.starts_with(kPrefix)) return name;
  const size_t end = name.find('.', kPrefix.size());
  return end == std::string::npos ? name : "layers.*" + name.substr(end);
}

// Entries that differ in nothing but their layer are one row.
std::string layers_text(const std::vector<LayerEntry>& entries) {
  struct Row {
    LayerEntry entry;
    uint32_t count = 0;
  };
  std::vector<Row> rows;
  for (const LayerEntry& entry : entries) {
    const std::string name = without_layer(entry.name);
    auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& known) {
      return known.entry.name == name && known.entry.shape == entry.shape &&
             known.entry.scheme == entry.scheme;
    });
    if (row == rows.end()) {
      rows.push_back({entry, 0});
      row = rows.end() - 1;
      row->entry.name = name;
      row->entry.bytes = 0;
    }
    row->entry.bytes += entry.bytes;
    ++row->count;
  }
  Table table({{"name"},
               {"op"},
               {"shape"},
               {"scheme"},
               {"count", Align::kRight},
               {"bytes", Align::kRight}});
  for (const Row& row : rows) {
    table.add_row({row.entry.name, row.entry.op,
                   fmt::format("[{}]", fmt::join(row.entry.shape, ", ")),
                   row.entry.scheme, std::to_string(row.count),
                   bytes_text(row.entry.bytes)});
  }
  return table.text();
}

// Contexts worth a column: some usual ones, and the longest.
std::vector<uint32_t> contexts_of(const ModelConfig& config) {
  std::vector<uint32_t> contexts;
  for (const uint32_t context : {1024U, 4096U, 32768U}) {
    if (context < config.max_positions) contexts.push_back(context);
  }
  contexts.push_back(config.max_positions);
  return contexts;
}

struct EstimateRow {
  std::string scheme;
  std::string refusal;  // why the model cannot be held so; empty if it can
  ModelSize size;
  std::vector<uint64_t> kv_bytes;  // per context
};

Result<EstimateRow> estimate_row(const Graph& graph, const WeightSource& source,
                                 const std::string& name,
                                 const std::vector<uint32_t>& contexts) {
  EstimateRow row;
  row.scheme = name;
  TSR_ASSIGN_OR_RETURN(const Scheme scheme, find_scheme(name));
  const Result<ModelSize> size = model_size(graph, source, scheme);
  if (!size.ok()) {
    row.refusal = size.status().message();
    return row;
  }
  row.size = *size;
  for (const uint32_t context : contexts) {
    TSR_ASSIGN_OR_RETURN(
        const uint64_t bytes,
        kv_cache_bytes(graph, scheme.kv_format, context, kBlockSize));
    row.kv_bytes.push_back(bytes);
  }
  return row;
}

Result<std::vector<EstimateRow>> estimate(
    const Graph& graph, const WeightSource& source,
    const std::vector<uint32_t>& contexts) {
  std::vector<EstimateRow> rows;
  std::vector<std::string> names = scheme_names();
  names.emplace_back("w8a16_kv8");
  names.emplace_back("w4a16_g32");
  for (const std::string& name : names) {
    TSR_ASSIGN_OR_RETURN(EstimateRow row,
                         estimate_row(graph, source, name, contexts));
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string estimate_text(const std::vector<EstimateRow>& rows,
                          const std::vector<uint32_t>& contexts) {
  std::vector<Column> columns = {
      {"scheme"}, {"weights", Align::kRight}, {"bits/weight", Align::kRight}};
  for (const uint32_t context : contexts) {
    columns.push_back({fmt::format("KV at {}", context), Align::kRight});
    columns.push_back({"total", Align::kRight});
  }
  Table table(std::move(columns));
  for (const EstimateRow& row : rows) {
    if (!row.refusal.empty()) {
      table.add_row({row.scheme, "-", row.refusal});
      continue;
    }
    std::vector<std::string> cells = {
        row.scheme, bytes_text(row.size.weight_bytes),
        fmt::format("{:.2f}", row.size.bits_per_weight())};
    for (const uint64_t bytes : row.kv_bytes) {
      cells.push_back(bytes_text(bytes));
      cells.push_back(bytes_text(row.size.weight_bytes + bytes));
    }
    table.add_row(std::move(cells));
  }
  return table.text() +
         "\nKV cache of one sequence; a device adds workspace and packing.\n";
}

Json estimate_json(const std::vector<EstimateRow>& rows,
                   const std::vector<uint32_t>& contexts) {
  Json list = Json::array();
  for (const EstimateRow& row : rows) {
    Json json;
    json["scheme"] = row.scheme;
    if (!row.refusal.empty()) {
      json["refusal"] = row.refusal;
      list.push_back(std::move(json));
      continue;
    }
    json["weight_bytes"] = row.size.weight_bytes;
    json["bits_per_weight"] = row.size.bits_per_weight();
    json["contexts"] = Json::array();
    for (size_t i = 0; i < contexts.size(); ++i) {
      json["contexts"].push_back(
          {{"tokens", contexts[i]},
           {"kv_bytes", row.kv_bytes[i]},
           {"total_bytes", row.size.weight_bytes + row.kv_bytes[i]}});
    }
    list.push_back(std::move(json));
  }
  return list;
}

Json config_json(const Model& model) {
  const ModelConfig& config = model.config;
  Json json;
  json["model"] = model.folder;
  json["architecture"] = config.architecture;
  json["parameters"] = model.totals.parameters;
  json["bytes"] = model.totals.bytes;
  json["dtype"] = dtype_name(checkpoint_dtype(model));
  json["num_layers"] = config.num_layers;
  json["hidden_size"] = config.hidden_size;
  json["intermediate_size"] = config.intermediate_size;
  json["num_q_heads"] = config.num_q_heads;
  json["num_kv_heads"] = config.num_kv_heads;
  json["head_dim"] = config.head_dim;
  json["vocab_size"] = config.vocab_size;
  json["max_positions"] = config.max_positions;
  json["tied_head"] = config.tie_word_embeddings;
  return json;
}

std::string config_text(const Model& model) {
  const ModelConfig& config = model.config;
  return fmt::format(
      "{}\n{}: {} layers, hidden size {}, MLP {}, {} query and {} KV heads of "
      "{}, vocabulary {}{}, context {}\n{} parameters, {} in {}\n\n",
      model.folder, config.architecture, config.num_layers, config.hidden_size,
      config.intermediate_size, config.num_q_heads, config.num_kv_heads,
      config.head_dim, config.vocab_size,
      config.tie_word_embeddings ? " (tied)" : "", config.max_positions,
      count_text(model.totals.parameters), bytes_text(model.totals.bytes),
      dtype_name(checkpoint_dtype(model)));
}

Json layers_json(const std::vector<LayerEntry>& entries) {
  Json list = Json::array();
  for (const LayerEntry& entry : entries) {
    list.push_back({{"name", entry.name},
                    {"op", entry.op},
                    {"shape", entry.shape},
                    {"scheme", entry.scheme},
                    {"bytes", entry.bytes}});
  }
  return list;
}

Status run_inspect(const InspectOptions& options) {
  TSR_ASSIGN_OR_RETURN(const LoadedModel loaded, load_model(options.model));
  // Sizes do not depend on the context; the smallest has the smallest tables.
  TSR_ASSIGN_OR_RETURN(Graph graph, build_graph(loaded.model->config, 1));
  mark_stored(loaded.source, graph);
  TSR_ASSIGN_OR_RETURN(const std::vector<LayerEntry> layers,
                       list_layers(graph, loaded.source));
  const std::vector<uint32_t> contexts = contexts_of(loaded.model->config);
  std::vector<EstimateRow> rows;
  if (options.estimate) {
    TSR_ASSIGN_OR_RETURN(rows, estimate(graph, loaded.source, contexts));
  }
  if (options.json) {
    Json report = config_json(*loaded.model);
    report["layers"] = layers_json(layers);
    if (options.estimate) report["estimate"] = estimate_json(rows, contexts);
    return print_json("inspect", report);
  }
  write_out(config_text(*loaded.model) + layers_text(layers));
  if (options.estimate) write_out("\n" + estimate_text(rows, contexts));
  return {};
}

}  // namespace

Command add_inspect_command(CLI::App& tessera) {
  CLI::App* app = tessera.add_subcommand(
      "inspect", "Show a model's layers, shapes, bytes and precisions");
  auto options = std::make_shared<InspectOptions>();
  add_model_option(*app, options->model);
  app->add_flag("--estimate", options->estimate,
                "Estimate memory by scheme and context");
  add_json_option(*app, options->json);
  app->footer("Example:\n  tessera inspect path/to/Qwen2.5-0.5B --estimate");
  return {app, [options] { return run_inspect(*options); }};
}

}  // namespace tessera::cli
