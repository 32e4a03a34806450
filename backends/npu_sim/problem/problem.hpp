// SPDX-License-Identifier: Apache-2.0
//
// What can be timed: plain descriptions of one launch each.  They hold shapes
// and types, never data.

#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace tessera::npu {

enum class Type : uint8_t { kF16, kBf16, kF32, kS8, kS4, kS32, kF8 };

const char* name_of(Type type);

// Of one element.
constexpr int64_t bits_of(Type type) {
  switch (type) {
    case Type::kS4:
      return 4;
    case Type::kS8:
    case Type::kF8:
      return 8;
    case Type::kF16:
    case Type::kBf16:
      return 16;
    case Type::kF32:
    case Type::kS32:
      break;
  }
  return 32;
}

// Types and quantization of a product.
enum class Scheme : uint8_t {
  kW16A16,  // f16
  kBf16,
  kW8A8,         // static: codes of the input are made per tensor
  kW8A8Dynamic,  // per token, which takes a pass over the input
  kInt8,         // s8 . s8 with codes given, as a bare product is measured
  kW8A8Sc,       // w8a8 with compressed tiles
  kW8A16,
  kW4A16,
  kW4A8,
  kW4A4,
  kFp8,  // E4M3, per token
};

const char* name_of(Scheme scheme);
// Errors  throws sdk::Error INVALID_ARGUMENT, listing the names, if none fits.
Scheme scheme_of(const std::string& name);

enum class WeightLayout : uint8_t {
  kNd,  // rows as in memory: [N, K], or [K, N] if not transposed
  kNz,  // fractals, blocks of columns: no rearranging on the way to L1
};

// What follows the product, in this order.
struct Epilogue {
  bool bias = false;
  bool activation = false;  // silu or gelu
  bool multiply = false;    // by another [M, N]
  bool residual = false;
};

// C[M, N] = A[M, K] . W.
struct Gemm {
  int64_t M = 0;
  int64_t N = 0;
  int64_t K = 0;
  Scheme scheme = Scheme::kW16A16;
  Type out = Type::kF16;
  bool transpose_a = false;  // A lies as [K, M]
  bool weight_is_nk = true;  // W lies as [N, K]; else [K, N]
  WeightLayout layout = WeightLayout::kNd;
  int64_t group_size = 0;  // weights along K that share a scale; 0: all
  double compression = 1;  // kW8A8Sc: stored bytes / s8 bytes
  Epilogue epilogue;
  int64_t cores = 0;  // cube cores; 0: all
};

// Whether sums of integers end with each group of the weight, whose scale they
// take.  Floats take the scales of groups with the weight.
bool has_group_sums(const Gemm& gemm);

// One Gemm for each entry of `rows`, each with its own weight.
struct GroupedGemm {
  Gemm each;  // M is ignored
  std::vector<int64_t> rows;
};

// out[rows, columns] = sum of the inputs, streamed through UB.
struct VectorOp {
  int64_t rows = 0;
  int64_t columns = 0;
  Type type = Type::kF16;
  int64_t num_inputs = 2;
  bool bank_conflicts = false;  // operands lie in one bank group
  int64_t cores = 0;            // vector cores; 0: all
};

enum class CopyTarget : uint8_t { kUb, kL1 };

// GM -> UB or L1 in tiles of tile_rows x tile_columns, nothing else.
struct Copy {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t tile_rows = 0;  // 0, like the next: what its target holds twice
  int64_t tile_columns = 0;
  Type type = Type::kF16;
  CopyTarget target = CopyTarget::kUb;
  bool nd_to_nz = false;  // kL1 only
  int64_t repeats = 1;    // passes over the data; later ones may hit L2
  int64_t cores = 0;
};

// kS8 has a scale for each token and head, kS8Channel one for each dim.
enum class KvType : uint8_t { kF16, kBf16, kS8, kFa3, kS8Channel };

// What the cache's elements are stored as.
constexpr Type code_type(KvType kv) {
  if (kv == KvType::kF16) return Type::kF16;
  return kv == KvType::kBf16 ? Type::kBf16 : Type::kS8;
}

// One step of attention over a paged cache.
struct Attention {
  std::vector<int64_t> q_lens;    // per sequence
  std::vector<int64_t> seq_lens;  // cached tokens, this step's included
  int64_t num_q_heads = 1;
  int64_t num_kv_heads = 1;
  int64_t qk_dim = 128;  // head dim of Q and K
  int64_t v_dim = 128;   // of V and the result
  bool v_in_k = false;   // MLA: V is the first v_dim columns of K
  bool causal = true;
  int64_t window = 0;  // 0: full
  int64_t block_size = 128;
  KvType kv = KvType::kF16;
  int64_t cores = 0;
};

enum class SmallKind : uint8_t {
  kRmsNorm,
  kLayerNorm,
  kRope,
  kSoftmax,
  kSiluMul,
  kGelu,
  kAdd,
  kEmbedding,
};
inline constexpr int64_t kNumSmallKinds = 8;

const char* name_of(SmallKind kind);

// A row op of the model: memory traffic and a few vector passes.
struct SmallOp {
  SmallKind kind = SmallKind::kRmsNorm;
  int64_t rows = 0;
  int64_t columns = 0;
  Type type = Type::kF16;
  Type out = Type::kF16;
  int64_t head_dim = 0;  // kRope; 0: a row is one head
  int64_t cores = 0;     // vector cores; 0: all
};

// New keys and values of a step into the cache that attention reads: slots of
// blocks, which only the launch's data name.
struct CacheAppend {
  int64_t tokens = 0;
  int64_t num_kv_heads = 1;
  int64_t head_dim = 128;
  int64_t block_size = 128;
  Type type = Type::kF16;  // of the new ones
  KvType kv = KvType::kF16;
  bool rotates = false;  // keys, by their positions
  int64_t cores = 0;     // vector cores; 0: all
};

using Problem = std::variant<Gemm, GroupedGemm, VectorOp, Copy, Attention,
                             SmallOp, CacheAppend>;

// Equal strings for equal problems: the key of the memo, and a label.
std::string key_of(const Problem& problem);

// Multiply-accumulates counted as 2; attention counts unmasked scores only.
double operations_of(const Problem& problem);

// Bytes that must be read and written once, without padding; scales count.
double canonical_bytes_of(const Problem& problem);

// Those of them that DRAM has to move if a cache of so many bytes holds nothing
// before, keeps what is written and serves what is read again.
double least_dram_bytes(const Problem& problem, double cache_bytes);

}  // namespace tessera::npu
