// SPDX-License-Identifier: Apache-2.0
//
// Builds a graph op by op; shapes of results follow from those of the operands.

#pragma once

#include <string>
#include <vector>

#include "framework/graph/graph.hpp"

namespace tessera {

// Methods that add an op return the id of the tensor it writes.
class GraphBuilder {
 public:
  // The step tensor of that role, made at its first use.
  uint32_t step_tensor(uint32_t role);
  // A constant named in the file.
  uint32_t constant(const std::string& source,
                    const std::vector<uint32_t>& shape);
  // A constant F32 table made by the caller.
  uint32_t table(const std::string& name, const std::vector<uint32_t>& shape,
                 std::vector<float> values);
  uint32_t add_weight(GraphWeight weight);
  uint32_t add_kv(const GraphKv& kv);

  // Ops added from now on carry this layer and the prefix "layers.<n>.".
  void enter_layer(int32_t layer);

  uint32_t embedding(uint32_t table, uint32_t rows, Precision precision);
  uint32_t gather_rows(uint32_t x, uint32_t rows);
  uint32_t rms_norm(const std::string& name, uint32_t x, uint32_t weight,
                    float eps);
  uint32_t linear(const std::string& name, uint32_t x, uint32_t weight,
                  uint32_t bias, Precision precision);
  // [rows, heads * head_dim] seen as [rows, heads, head_dim].
  void split_heads(uint32_t x, uint32_t num_heads);
  uint32_t rope(const std::string& name, uint32_t x, uint32_t positions,
                uint32_t table, uint32_t rotary_dim);
  void kv_append(const std::string& name, tsr_op_kv_append op);
  uint32_t attention(const std::string& name, tsr_op_attention op);
  uint32_t silu_mul(const std::string& name, uint32_t gate, uint32_t up);
  uint32_t add(const std::string& name, uint32_t a, uint32_t b);

  // Ends building; the builder is empty afterwards.
  Result<Graph> finish(uint32_t logits, uint32_t num_layers);

 private:
  uint32_t add_tensor(std::string name, Precision precision,
                      std::vector<tsr_dim> dims);
  template <typename Op>
  void push(const std::string& name, uint32_t kind, Op op);
  std::string scoped(const std::string& name) const;

  Graph graph_;
  int32_t layer_ = kBeforeLayers;
};

}  // namespace tessera
