// SPDX-License-Identifier: Apache-2.0
//
// Turns ops of a graph into a program for one device.

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/graph/graph.hpp"
#include "framework/planner/plan.hpp"

namespace tessera {

// The largest step a program must take.
struct StepLimits {
  uint32_t max_tokens = 0;
  uint32_t max_seqs = 0;
  uint32_t max_outputs = 0;
  uint32_t max_blocks_per_seq = 0;
};

// Ops first .. last - 1 of a graph, which run on one device.
struct OpRange {
  uint32_t first = 0;
  uint32_t last = 0;
  std::string device;
  // Tensors that the host wants to see, though no later op reads them.
  std::vector<uint32_t> observed;
  // Neighbours of one group run at the same time; 0: by itself.
  uint32_t group = 0;
};

// Cuts the graph where the plan changes device, and around groups.
std::vector<OpRange> split_by_device(const Graph& graph, const Plan& plan);

// What becomes of each graph tensor in one program.
enum class Place {
  kUnused,
  kConstant,   // bound for good
  kStep,       // in the step arena
  kTransient,  // inside the program
  kInput,      // written by an earlier program
  kOutput,     // read by a later one, or by the host
};

struct Lowered {
  std::vector<tsr_tensor> tensors;   // of the program
  std::vector<uint32_t> program_id;  // graph tensor -> program tensor
  std::vector<Place> places;         // of each graph tensor
  std::vector<GraphOpBody> ops;      // with program ids
  std::vector<uint32_t> weights;     // program weight -> graph weight
  std::vector<uint32_t> kv;          // program pool -> graph KV cache
};

// The element type of a graph tensor that op `writer` produces (constants: see
// constant_dtype).
uint32_t value_dtype(const GraphTensor& tensor, const LayerPlan& writer);

// The element type in which a constant of `source_dtype` is kept: that of the
// file for tables (two dimensions), F32 for vectors.
uint32_t constant_dtype(const GraphTensor& tensor, uint32_t source_dtype);

// How the linear of a weight is to be run under a scheme: as the file has it if
// the scheme says so; else the head, and what such a file has in floats, keep
// a float type and float activations.
LinearChoice choose_linear(const GraphWeight& weight, const Scheme& scheme);

// TSR_KV_* of a KV cache under a scheme: as the file has it if the scheme says
// so.
uint32_t choose_kv_format(const GraphKv& kv, const Scheme& scheme);

// Gives the attention of every layer the scales that its KV format asks for.
// Errors: those of bind_attention_scales.
Status bind_attention_scales(const Plan& plan, Graph& graph);

// The program for `range`, all ids renumbered.  `source_dtype` gives the dtype
// of a named constant in the file.
Lowered lower(const Graph& graph, const Plan& plan, const OpRange& range,
              const StepLimits& limits,
              const std::function<uint32_t(const GraphTensor&)>& source_dtype);

// `dims` with every symbol's maximum filled in.
std::vector<tsr_dim> with_maxima(const GraphTensor& tensor,
                                 const StepLimits& limits);

}  // namespace tessera
