// SPDX-License-Identifier: Apache-2.0
//
// A model as ops over tensors, before anyone has chosen devices or precisions.
// The ops are those of tessera/ops.h; ids in them index this graph's lists.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/scheme.hpp"
#include "framework/graph/attention_scales.hpp"
#include "tessera/ops.h"

namespace tessera {

// Ops that belong to no layer: what comes before the first and after the last.
inline constexpr int32_t kBeforeLayers = -1;
inline constexpr int32_t kAfterLayers = INT32_MAX;

// What decides a tensor's dtype when a scheme is chosen.
enum class Precision {
  kIndex,       // I32
  kF32,         // always F32: the residual stream, logits, tables
  kActivation,  // the scheme's activation type
  kSource,      // a constant that keeps the type it has in the file
};

struct GraphTensor {
  std::string name;
  Precision precision = Precision::kActivation;
  uint32_t role = TSR_ROLE_VALUE;
  // Dimensions with a symbol have max 0: the program's maxima come later.
  std::vector<tsr_dim> dims;
  // CONSTANT tensors: the tensor's name in the file, or empty for `values`, or
  // `indices` where the precision is kIndex.
  bool constant = false;
  std::string source;
  std::vector<float> values;
  std::vector<int32_t> indices;
  // Columns first_column .. of tensor `part_of`; TSR_NONE: a whole tensor.
  uint32_t part_of = TSR_NONE;
  uint32_t first_column = 0;
};

struct GraphWeight {
  std::string name;               // "layers.3.mlp.down_proj"
  std::string source;             // its name in the file
  int32_t layer = kBeforeLayers;  // of the op that uses it
  uint32_t N = 0;
  uint32_t K = 0;
  bool is_head = false;  // projects to the vocabulary
  // How the file has it, if that is not plain floats.
  std::optional<LinearChoice> stored;
  // TSR_WEIGHT_* if a file with quantized weights has it in plain floats.
  uint32_t stored_float = 0;
  // The N rows are those from first_row on of source_rows in the file; 0: they
  // are all.
  uint32_t first_row = 0;
  uint32_t source_rows = 0;
};

struct GraphKv {
  uint32_t num_kv_heads = 0;
  uint32_t head_dim = 0;
  // What the file's calibration found, if the file has such.
  std::optional<AttentionScales> stored = std::nullopt;
};

using GraphOpBody =
    std::variant<tsr_op_linear, tsr_op_attention, tsr_op_kv_append, tsr_op_norm,
                 tsr_op_rope, tsr_op_elementwise, tsr_op_softmax,
                 tsr_op_gather>;

struct GraphOp {
  std::string name;  // "layers.3.attention"
  int32_t layer = kBeforeLayers;
  GraphOpBody body;
  // Ops of one group that differ in device run at the same time; 0: none.
  uint32_t group = 0;
};

struct Graph {
  std::vector<GraphTensor> tensors;
  std::vector<GraphWeight> weights;
  std::vector<GraphKv> kv;     // one per layer with attention
  std::vector<GraphOp> ops;    // in execution order
  uint32_t logits = TSR_NONE;  // F32 [OUTPUTS, vocab_size]
  uint32_t vocab_size = 0;
  uint32_t num_layers = 0;
};

// The head of an op's body.
const tsr_op& op_head(const GraphOpBody& body);
tsr_op& op_head(GraphOpBody& body);

// "linear" for TSR_OP_LINEAR.
std::string op_kind_name(uint32_t kind);

// Calls visit(id) for every tensor that the op reads, or writes.
struct OpTensors {
  std::vector<uint32_t> reads;
  std::vector<uint32_t> writes;
};
OpTensors op_tensors(const GraphOpBody& body);

// Replaces every tensor id in `body` by map[id]; TSR_NONE stays.
void remap_tensors(GraphOpBody& body, const std::vector<uint32_t>& map);

// OK if every id exists, every tensor is written before it is read, and shapes
// agree as ops.h asks.
// Errors: INVALID_ARGUMENT, naming the op and what clashes.
Status validate(const Graph& graph);

}  // namespace tessera
