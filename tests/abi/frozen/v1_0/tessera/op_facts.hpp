// SPDX-License-Identifier: Apache-2.0
//
// tessera/op_facts.hpp - what an op asks of a kernel, in the words of
// tsr_kernel_desc.  Reading it checks the op once: ids, shapes and operands.

#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tessera/names.hpp"
#include "tessera/plugin.h"
#include "tessera/record.hpp"

namespace tessera::sdk {

// One op of a program, checked.  M, N and K count what they count in a
// tsr_kernel_desc.
struct OpFacts {
  struct Input {
    const char* name;  // "x", "residual" ...
    uint32_t dtype;
  };

  uint32_t kind = 0;
  bool portable = false;                // TSR_OP_PORTABLE
  std::vector<std::string> extensions;  // those that must be understood

  uint32_t M = 1;
  uint32_t N = 0;
  uint32_t K = 0;
  bool M_varies = false;  // a step has 1 .. M rows

  std::vector<Input> inputs;          // those that x_dtypes speaks of
  uint32_t y_dtype = TSR_DTYPE_NONE;  // NONE: the op writes no tensor
  uint32_t activation = 0;            // TSR_EPILOGUE_*

  // linear
  uint32_t weight_format = 0;
  std::vector<tsr_plane> planes;
  uint32_t act_quant = 0;
  uint32_t fused = 0;  // mask of TSR_FUSES_*
  uint32_t n_begin = 0;
  uint32_t n_end = 0;

  // attention, kv_append and rope
  uint32_t kv_format = 0;
  uint32_t mask = 0;
  uint32_t head_dim = 0;
  uint32_t gqa_ratio = 0;
  uint32_t block_size = 0;
  uint32_t rope_style = 0;
};

namespace detail {

// Reads one op; every function throws INVALID_ARGUMENT, naming the field.
class FactReader {
 public:
  FactReader(const ProgramQuestion& question, uint32_t index)
      : question_(question),
        record_(question.program.ops().at(index)),
        name_("op " + std::to_string(index) + " (" + names::op(record_.kind()) +
              "): ") {}

  OpFacts read() {
    facts_.kind = record_.kind();
    facts_.portable = (record_.flags() & TSR_OP_PORTABLE) != 0;
    read_extensions();
    switch (record_.kind()) {
      case TSR_OP_LINEAR:
        linear(record_.as<tsr_op_linear>());
        break;
      case TSR_OP_ATTENTION:
        attention(record_.as<tsr_op_attention>());
        break;
      case TSR_OP_KV_APPEND:
        kv_append(record_.as<tsr_op_kv_append>());
        break;
      case TSR_OP_RMS_NORM:
      case TSR_OP_LAYER_NORM:
        norm(record_.as<tsr_op_norm>());
        break;
      case TSR_OP_ROPE:
        rope(record_.as<tsr_op_rope>());
        break;
      case TSR_OP_ADD:
      case TSR_OP_SILU_MUL:
      case TSR_OP_GELU:
        elementwise(record_.as<tsr_op_elementwise>());
        break;
      case TSR_OP_SOFTMAX:
        softmax(record_.as<tsr_op_softmax>());
        break;
      case TSR_OP_EMBEDDING:
      case TSR_OP_GATHER_ROWS:
        gather(record_.as<tsr_op_gather>());
        break;
      default:
        break;  // a kind from later: no row has it
    }
    return std::move(facts_);
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    malformed(name_ + message);
  }
  void require(bool condition, const char* message) const {
    if (!condition) fail(message);
  }
  void require_equal(const char* field, uint64_t value, uint64_t wanted) const {
    if (value == wanted) return;
    fail(std::string(field) + " is " + std::to_string(value) + ", not " +
         std::to_string(wanted));
  }

  // ---- Operands

  const tsr_tensor& tensor(uint32_t id, const char* field) const {
    const auto& tensors = question_.program.tensors();
    if (id >= tensors.size()) {
      fail(std::string(field) + " is tensor " + std::to_string(id) + " of " +
           std::to_string(tensors.size()));
    }
    return tensors[id];
  }
  const tsr_tensor& floating(uint32_t id, const char* field) const {
    const tsr_tensor& t = tensor(id, field);
    if (t.dtype != TSR_F32 && t.dtype != TSR_F16 && t.dtype != TSR_BF16) {
      fail(std::string(field) + " is " + names::dtype(t.dtype) +
           ", not f32, f16 or bf16");
    }
    return t;
  }
  const tsr_tensor& input(uint32_t id, const char* field) {
    const tsr_tensor& t = floating(id, field);
    facts_.inputs.push_back({field, t.dtype});
    return t;
  }
  void output(uint32_t id, const char* field) {
    facts_.y_dtype = tensor(id, field).dtype;
  }
  // A tensor of a type that the op fixes, with at least so many elements.
  const tsr_tensor& fixed(uint32_t id, const char* field, uint32_t dtype,
                          uint64_t min_elements) const {
    const tsr_tensor& t = tensor(id, field);
    if (t.dtype != dtype) {
      fail(std::string(field) + " is " + names::dtype(t.dtype) + ", not " +
           names::dtype(dtype));
    }
    if (elements(t) < min_elements) {
      fail(std::string(field) + " has " + std::to_string(elements(t)) +
           " elements of " + std::to_string(min_elements));
    }
    return t;
  }

  // ---- Shapes

  static uint64_t elements(const tsr_tensor& t) {
    uint64_t product = 1;
    for (uint32_t d = 0; d < t.rank; ++d) product *= t.dims[d].max;
    return product;
  }
  static uint32_t last_dim(const tsr_tensor& t) {
    return t.dims[t.rank - 1].max;
  }
  uint32_t narrow(uint64_t value, const char* field) const {
    if (value > UINT32_MAX) {
      fail(std::string(field) + " " + std::to_string(value) + " is too large");
    }
    return static_cast<uint32_t>(value);
  }
  // Rows of t if its trailing dimensions hold `width` elements together, so
  // that [T, heads, head_dim] serves where [T, K] is meant.
  uint32_t rows_of(const tsr_tensor& t, uint64_t width,
                   const char* field) const {
    uint64_t trailing = 1;
    for (uint32_t d = t.rank; d-- > 0 && trailing < width;) {
      trailing *= t.dims[d].max;
    }
    if (trailing != width) {
      fail(std::string(field) + " has no rows of " + std::to_string(width) +
           " elements");
    }
    const bool gaps = t.row_stride != 0 && t.row_stride != last_dim(t);
    if (gaps && width != last_dim(t)) {
      fail(std::string(field) + ": rows of " + std::to_string(width) +
           " elements have gaps");
    }
    return narrow(elements(t) / width, field);
  }
  void set_rows(const tsr_tensor& t, uint64_t width, const char* field) {
    facts_.M = rows_of(t, width, field);
    for (uint32_t d = 0; d < t.rank; ++d) {
      if (t.dims[d].symbol != TSR_DIM_FIXED) facts_.M_varies = true;
    }
  }
  void require_shape(uint32_t id, const char* field, uint64_t width) const {
    require_equal((std::string(field) + " rows").c_str(),
                  rows_of(tensor(id, field), width, field), facts_.M);
  }

  // ---- Ops

  void read_extensions() {
    bool first = true;
    record_.each_extension(
        [&](const tsr_record_ext& ext, const char*, uint32_t) {
          const bool names_op = first && record_.kind() == TSR_OP_EXTENSION;
          if (names_op || (ext.flags & TSR_MUST_UNDERSTAND) != 0) {
            facts_.extensions.emplace_back(ext.name);
          }
          first = false;
        });
    if (record_.kind() == TSR_OP_EXTENSION) require(!first, "has no name");
  }

  void linear(const tsr_op_linear& o) {
    if (o.weight >= question_.weights.size()) {
      fail("weight " + std::to_string(o.weight) + " of " +
           std::to_string(question_.weights.size()));
    }
    const tsr_weight_desc& weight = question_.weights[o.weight];
    require(weight.N > 0 && weight.K > 0, "weight of size 0");
    facts_.weight_format = weight.format;
    facts_.planes = Elements<tsr_plane>(weight.planes).all();
    facts_.act_quant = o.act_quant;
    facts_.activation = o.activation;
    facts_.N = weight.N;
    facts_.K = weight.K;
    facts_.n_begin = o.n_begin;
    facts_.n_end = o.n_end == 0 ? weight.N : o.n_end;
    require(facts_.n_begin < facts_.n_end && facts_.n_end <= weight.N,
            "n_begin .. n_end is not inside N");
    set_rows(input(o.x, "x"), weight.K, "x");
    const uint32_t width = facts_.n_end - facts_.n_begin;
    require_shape(o.y, "y", width);
    output(o.y, "y");
    if (o.bias != TSR_NONE) fixed(o.bias, "bias", TSR_F32, weight.N);
    if (o.multiplier != TSR_NONE) {
      input(o.multiplier, "multiplier");
      require_shape(o.multiplier, "multiplier", width);
    }
    if (o.residual != TSR_NONE) {
      input(o.residual, "residual");
      require_shape(o.residual, "residual", width);
    }
    linear_fused(o, weight.N);
  }

  void linear_fused(const tsr_op_linear& o, uint32_t N) {
    const auto fuses = [&](bool asked, uint32_t bit) {
      if (asked) facts_.fused |= bit;
    };
    const bool accumulate = (o.flags & TSR_LINEAR_ACCUMULATE) != 0;
    const bool partial = (o.flags & TSR_LINEAR_PARTIAL) != 0;
    fuses(o.bias != TSR_NONE, TSR_FUSES_BIAS);
    fuses(o.multiplier != TSR_NONE, TSR_FUSES_MULTIPLIER);
    fuses(o.residual != TSR_NONE, TSR_FUSES_RESIDUAL);
    require(!(accumulate || partial) ||
                (facts_.fused == 0 && o.activation == TSR_EPILOGUE_NONE),
            "accumulate and partial take no epilogue");
    fuses(accumulate, TSR_FUSES_ACCUMULATE);
    fuses(partial, TSR_FUSES_PARTIAL);
    fuses(facts_.n_begin != 0 || facts_.n_end != N, TSR_FUSES_N_RANGE);
    if (!partial) floating(o.y, "y");
  }

  const tsr_kv_desc& pool(uint32_t kv) const {
    if (kv >= question_.kv_pools.size()) {
      fail("kv pool " + std::to_string(kv) + " of " +
           std::to_string(question_.kv_pools.size()));
    }
    const tsr_kv_desc& desc = question_.kv_pools[kv];
    require(desc.num_kv_heads > 0 && desc.head_dim > 0 && desc.block_size > 0,
            "kv pool of size 0");
    return desc;
  }
  void set_pool(const tsr_kv_desc& desc) {
    facts_.kv_format = desc.format;
    facts_.head_dim = desc.head_dim;
    facts_.block_size = desc.block_size;
  }

  void attention(const tsr_op_attention& o) {
    const tsr_kv_desc& kv = pool(o.kv);
    const tsr_program_desc& program = question_.program.desc();
    set_pool(kv);
    if (o.num_q_heads == 0 || o.num_q_heads % kv.num_kv_heads != 0) {
      fail(std::to_string(o.num_q_heads) + " query heads over " +
           std::to_string(kv.num_kv_heads) + " KV heads");
    }
    facts_.gqa_ratio = o.num_q_heads / kv.num_kv_heads;
    facts_.mask = o.mask;
    require(o.mask != TSR_MASK_SLIDING || o.window > 0, "window is 0");
    facts_.N = narrow(uint64_t{o.num_q_heads} * kv.head_dim, "q");
    facts_.K = narrow(uint64_t{program.max_blocks_per_seq} * kv.block_size,
                      "block_table");
    set_rows(input(o.q, "q"), facts_.N, "q");
    floating(o.out, "out");
    require_shape(o.out, "out", facts_.N);
    output(o.out, "out");
    const uint64_t seqs = program.max_seqs;
    fixed(o.q_starts, "q_starts", TSR_I32, seqs + 1);
    fixed(o.seq_lens, "seq_lens", TSR_I32, seqs);
    fixed(o.block_table, "block_table", TSR_I32,
          seqs * program.max_blocks_per_seq);
    attention_scales(o, kv);
  }

  void attention_scales(const tsr_op_attention& o, const tsr_kv_desc& kv) {
    const uint64_t kv_scales = uint64_t{2} * kv.num_kv_heads;
    if (kv.format == TSR_KV_I8_CHANNEL) {
      fixed(o.kv_scale, "kv_scale", TSR_F32, kv_scales * kv.head_dim);
    }
    if (kv.format != TSR_KV_I8_HEAD) return;
    fixed(o.kv_scale, "kv_scale", TSR_F32, kv_scales);
    fixed(o.q_inv, "q_inv", TSR_F32, o.num_q_heads);
    fixed(o.q_scale, "q_scale", TSR_F32, o.num_q_heads);
    fixed(o.thresholds, "thresholds", TSR_I32, uint64_t{127} * o.num_q_heads);
  }

  void rotation(uint32_t positions, uint32_t table, uint32_t rotary_dim) {
    if (rotary_dim == 0 || rotary_dim % 2 != 0 ||
        rotary_dim > facts_.head_dim) {
      fail("rotary_dim " + std::to_string(rotary_dim) + " of head_dim " +
           std::to_string(facts_.head_dim));
    }
    fixed(positions, "positions", TSR_I32, 1);
    const tsr_tensor& t = fixed(table, "table", TSR_F32, rotary_dim);
    require_equal("table width", last_dim(t), rotary_dim);
  }

  void kv_append(const tsr_op_kv_append& o) {
    const tsr_kv_desc& kv = pool(o.kv);
    set_pool(kv);
    facts_.rope_style = o.style;
    facts_.N = narrow(uint64_t{kv.num_kv_heads} * kv.head_dim, "k");
    set_rows(input(o.k, "k"), facts_.N, "k");
    input(o.v, "v");
    require_shape(o.v, "v", facts_.N);
    fixed(o.slot_mapping, "slot_mapping", TSR_I32, facts_.M);
    if (o.style != TSR_ROPE_NONE) {
      rotation(o.positions, o.table, o.rotary_dim);
      fixed(o.positions, "positions", TSR_I32, facts_.M);
    }
    const uint64_t scales = uint64_t{2} * kv.num_kv_heads;
    if (kv.format == TSR_KV_I8_HEAD) {
      fixed(o.kv_inv, "kv_inv", TSR_F32, scales);
    } else if (kv.format == TSR_KV_I8_CHANNEL) {
      fixed(o.kv_inv, "kv_inv", TSR_F32, scales * kv.head_dim);
    }
  }

  // x and y of the same shape; M counts rows of the last dimension N.
  void map_rows(uint32_t x, uint32_t y, const char* field) {
    const tsr_tensor& t = input(x, field);
    facts_.N = last_dim(t);
    set_rows(t, facts_.N, field);
    floating(y, "y");
    require_shape(y, "y", facts_.N);
    output(y, "y");
  }

  void norm(const tsr_op_norm& o) {
    map_rows(o.x, o.y, "x");
    require_equal("weight elements", elements(input(o.weight, "weight")),
                  facts_.N);
    if (o.op.kind != TSR_OP_LAYER_NORM || o.bias == TSR_NONE) return;
    require_equal("bias elements", elements(input(o.bias, "bias")), facts_.N);
  }

  void rope(const tsr_op_rope& o) {
    map_rows(o.x, o.y, "x");
    const tsr_tensor& x = tensor(o.x, "x");
    facts_.head_dim = facts_.N;
    facts_.rope_style = o.style;
    require(o.style != TSR_ROPE_NONE, "style is none");
    rotation(o.positions, o.table, o.rotary_dim);
    fixed(o.positions, "positions", TSR_I32, x.dims[0].max);
  }

  void elementwise(const tsr_op_elementwise& o) {
    map_rows(o.a, o.y, "a");
    if (o.op.kind == TSR_OP_GELU) {
      facts_.activation = o.variant;
      return;
    }
    input(o.b, "b");
    require_shape(o.b, "b", facts_.N);
  }

  void softmax(const tsr_op_softmax& o) { map_rows(o.x, o.y, "x"); }

  void gather(const tsr_op_gather& o) {
    const tsr_tensor& table = input(o.table, "table");
    facts_.N = last_dim(table);
    facts_.K = rows_of(table, facts_.N, "table");
    const tsr_tensor& y = floating(o.y, "y");
    set_rows(y, facts_.N, "y");
    fixed(o.rows, "rows", TSR_I32, facts_.M);
    output(o.y, "y");
  }

  const ProgramQuestion& question_;
  const OpRecord& record_;
  std::string name_;
  OpFacts facts_;
};

}  // namespace detail

// What op `index` of the program asks for.
//
// Errors   throws INVALID_ARGUMENT, naming op and field, if an operand does not
//          exist, or types or shapes are not what ops.h says
inline OpFacts read_op_facts(const ProgramQuestion& question, uint32_t index) {
  return detail::FactReader(question, index).read();
}

}  // namespace tessera::sdk
