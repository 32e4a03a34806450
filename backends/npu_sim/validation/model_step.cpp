// SPDX-License-Identifier: Apache-2.0
//
// A step of a known model as the launches it takes.

#include <array>
#include <string>

#include "backends/npu_sim/profile/nearest_name.hpp"
#include "backends/npu_sim/validation/validate.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

struct ModelShape {
  const char* name;
  int64_t layers;
  int64_t hidden;
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
  int64_t inner;
  int64_t vocabulary;
  // Layers whose gate and up stay f16 in the published sparse recipe, as all
  // down projections and the head do.
  int64_t float_layers;
};

constexpr std::array<ModelShape, 3> kModels = {{
    {"qwen3-8b", 36, 4096, 32, 8, 128, 12288, 151936, 5},
    {"qwen3-14b", 40, 5120, 40, 8, 128, 17408, 151936, 0},
    {"qwen3-32b", 64, 5120, 64, 8, 128, 25600, 151936, 0},
}};

const ModelShape& find_model(const std::string& name) {
  std::vector<std::string> names;
  for (const ModelShape& model : kModels) {
    if (name == model.name) return model;
    names.emplace_back(model.name);
  }
  throw sdk::Error(TSR_NOT_FOUND, "model '" + name +
                                      "' is not known; the nearest is '" +
                                      nearest_name(name, names) + "'");
}

class Step {
 public:
  Step(Simulator& simulator, const ModelStep& step)
      : simulator_(simulator), step_(step) {}

  void add(const Problem& problem, int64_t times) {
    const Simulation& result = simulator_.time(problem);
    total_ns_ +=
        (result.time_ns + result.launch_ns) * static_cast<double>(times);
  }
  void add_linear(int64_t N, int64_t K, Scheme scheme, int64_t times) {
    Gemm gemm;
    gemm.M = step_.tokens;
    gemm.N = N;
    gemm.K = K;
    gemm.scheme = scheme;
    if (scheme == Scheme::kW8A8Sc) gemm.compression = step_.compression;
    add(gemm, times);
  }
  // Logits are asked of the last token only.
  void add_head(int64_t N, int64_t K) {
    Gemm gemm;
    gemm.M = 1;
    gemm.N = N;
    gemm.K = K;
    add(gemm, 1);
  }
  void add_small(SmallKind kind, int64_t columns, int64_t times) {
    SmallOp op;
    op.kind = kind;
    op.rows = step_.tokens;
    op.columns = columns;
    add(op, times);
  }
  // Queries are turned on the way by the same cores.
  void add_append(int64_t kv_heads, int64_t head_dim, int64_t times) {
    CacheAppend op;
    op.tokens = step_.tokens;
    op.num_kv_heads = kv_heads;
    op.head_dim = head_dim;
    op.rotates = true;
    add(op, times);
  }
  double total_ns() const { return total_ns_; }

 private:
  Simulator& simulator_;
  const ModelStep& step_;
  double total_ns_ = 0;
};

}  // namespace

double model_step_ns(Simulator& simulator, const ModelStep& wanted) {
  const ModelShape& shape = find_model(wanted.model);
  const bool is_sparse = wanted.scheme == Scheme::kW8A8Sc;
  const Scheme narrow = wanted.scheme;
  const Scheme wide = is_sparse ? Scheme::kW16A16 : narrow;
  const int64_t floats = is_sparse ? shape.float_layers : 0;
  const int64_t q = shape.heads * shape.head_dim;
  const int64_t kv = shape.kv_heads * shape.head_dim;
  const int64_t layers = shape.layers;
  Step step(simulator, wanted);
  step.add_small(SmallKind::kEmbedding, shape.hidden, 1);
  step.add_small(SmallKind::kRmsNorm, shape.hidden, 2 * layers + 1);
  step.add_linear(q + 2 * kv, shape.hidden, narrow, layers);
  step.add_small(SmallKind::kRmsNorm, q + kv, layers);  // of q and k
  step.add_small(SmallKind::kRope, q, layers);
  step.add_append(shape.kv_heads, shape.head_dim, layers);
  Attention attention;
  attention.q_lens = {wanted.tokens};
  attention.seq_lens = {wanted.cached};
  attention.num_q_heads = shape.heads;
  attention.num_kv_heads = shape.kv_heads;
  attention.qk_dim = shape.head_dim;
  attention.v_dim = shape.head_dim;
  step.add(attention, layers);
  step.add_linear(shape.hidden, q, narrow, layers);
  step.add_linear(2 * shape.inner, shape.hidden, narrow, layers - floats);
  step.add_linear(2 * shape.inner, shape.hidden, wide, floats);
  step.add_small(SmallKind::kSiluMul, shape.inner, layers);
  step.add_linear(shape.hidden, shape.inner, wide, layers);
  step.add_head(shape.vocabulary, shape.hidden);
  return step.total_ns();
}

}  // namespace tessera::npu
