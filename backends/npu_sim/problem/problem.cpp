// SPDX-License-Identifier: Apache-2.0
//
// Names and keys of problems.

#include "backends/npu_sim/problem/problem.hpp"

#include <array>
#include <cstdio>
#include <utility>

#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr std::array<const char*, 7> kTypes = {"f16", "bf16", "f32", "s8",
                                               "s4",  "s32",  "f8"};
constexpr std::array<const char*, 11> kSchemes = {
    "w16a16", "bf16",  "w8a8", "w8a8_dynamic", "int8", "w8a8sc",
    "w8a16",  "w4a16", "w4a8", "w4a4",         "fp8"};
constexpr std::array<const char*, kNumSmallKinds> kSmallOps = {
    "rms_norm", "layer_norm", "rope", "softmax",
    "silu_mul", "gelu",       "add",  "embedding"};

template <typename Names, typename Enum>
const char* name_in(const Names& names, Enum value) {
  return names.at(static_cast<size_t>(value));
}

// Appends its arguments, each followed by a space.
class Key {
 public:
  explicit Key(const char* name) : text_(name) {}
  Key& operator<<(const char* word) {
    text_ += ' ';
    text_ += word;
    return *this;
  }
  Key& operator<<(int64_t number) {
    return *this << std::to_string(number).c_str();
  }
  Key& operator<<(double number) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.9g", number);
    return *this << text.data();
  }
  Key& flag(bool is_set, const char* word) {
    return is_set ? *this << word : *this;
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void append(const Gemm& gemm, Key& key) {
  key << gemm.M << gemm.N << gemm.K << name_of(gemm.scheme)
      << name_of(gemm.out);
  key.flag(gemm.transpose_a, "a=km")
      .flag(!gemm.weight_is_nk, "w=kn")
      .flag(gemm.layout == WeightLayout::kNz, "nz")
      .flag(gemm.epilogue.bias, "bias")
      .flag(gemm.epilogue.activation, "act")
      .flag(gemm.epilogue.multiply, "mul")
      .flag(gemm.epilogue.residual, "res");
  if (gemm.group_size != 0) key << "g" << gemm.group_size;
  if (gemm.compression != 1) key << "ratio" << gemm.compression;
  if (gemm.cores != 0) key << "cores" << gemm.cores;
}

std::string key_of_one(const Gemm& gemm) {
  Key key("gemm");
  append(gemm, key);
  return key.take();
}

std::string key_of_one(const GroupedGemm& grouped) {
  Key key("grouped_gemm");
  append(grouped.each, key);
  for (const int64_t rows : grouped.rows) key << rows;
  return key.take();
}

std::string key_of_one(const VectorOp& op) {
  Key key("vector add");
  key << op.rows << op.columns << name_of(op.type) << op.num_inputs << op.cores;
  return key.flag(op.bank_conflicts, "conflicts").take();
}

std::string key_of_one(const Copy& copy) {
  Key key("copy");
  key << (copy.target == CopyTarget::kUb ? "ub" : "l1") << copy.rows
      << copy.columns << copy.tile_rows << copy.tile_columns
      << name_of(copy.type) << copy.repeats << copy.cores;
  return key.flag(copy.nd_to_nz, "nd2nz").take();
}

std::string key_of_one(const Attention& attention) {
  Key key("attention");
  key << attention.num_q_heads << attention.num_kv_heads << attention.qk_dim
      << attention.v_dim << attention.window << attention.block_size
      << static_cast<int64_t>(attention.kv) << attention.cores;
  key.flag(attention.v_in_k, "v_in_k").flag(attention.causal, "causal") << "q";
  for (const int64_t length : attention.q_lens) key << length;
  key << "kv";
  for (const int64_t length : attention.seq_lens) key << length;
  return key.take();
}

std::string key_of_one(const SmallOp& op) {
  Key key(name_of(op.kind));
  key << op.rows << op.columns << name_of(op.type) << name_of(op.out)
      << op.cores;
  if (op.head_dim != 0) key << "heads of" << op.head_dim;
  return key.take();
}

std::string key_of_one(const CacheAppend& op) {
  Key key("kv_append");
  key << op.tokens << op.num_kv_heads << op.head_dim << op.block_size
      << name_of(op.type) << static_cast<int64_t>(op.kv) << op.cores;
  return key.flag(op.rotates, "rotates").take();
}

}  // namespace

const char* name_of(Type type) { return name_in(kTypes, type); }

const char* name_of(SmallKind kind) { return name_in(kSmallOps, kind); }

const char* name_of(Scheme scheme) { return name_in(kSchemes, scheme); }

Scheme scheme_of(const std::string& name) {
  std::string known;
  for (size_t i = 0; i < kSchemes.size(); ++i) {
    if (name == kSchemes.at(i)) return static_cast<Scheme>(i);
    known += (known.empty() ? "" : " ") + std::string(kSchemes.at(i));
  }
  throw sdk::Error(TSR_INVALID_ARGUMENT,
                   "scheme '" + name + "' is not one of " + known);
}

bool has_group_sums(const Gemm& gemm) {
  const bool is_integer =
      gemm.scheme == Scheme::kW8A8 || gemm.scheme == Scheme::kW8A8Dynamic ||
      gemm.scheme == Scheme::kW4A8 || gemm.scheme == Scheme::kW4A4;
  return is_integer && gemm.group_size > 0 && gemm.group_size < gemm.K;
}

std::string key_of(const Problem& problem) {
  return std::visit([](const auto& one) { return key_of_one(one); }, problem);
}

}  // namespace tessera::npu
