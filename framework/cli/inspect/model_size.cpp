// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/inspect/model_size.hpp"

#include <fmt/format.h>

#include <set>
#include <string>
#include <utility>

#include "framework/format/gguf/gguf_block.hpp"
#include "framework/format/kv_block.hpp"
#include "framework/format/weight.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::cli {
namespace {

// Bytes of the SCALE and, where there is one, the ZERO_POINT plane.
uint64_t scale_bytes(const LinearChoice& choice, uint32_t N, uint32_t K) {
  const uint32_t group = choice.group_size == 0 ? K : choice.group_size;
  const uint64_t groups = (uint64_t{K} + group - 1) / group;
  return N * groups * (sizeof(float) + (choice.symmetric ? 0 : 1));
}

uint64_t element_count(const GraphTensor& tensor) {
  uint64_t count = 1;
  for (const tsr_dim& dim : tensor.dims) count *= dim.max;
  return count;
}

// Adds up what a graph stores; a tensor of the file counts once per type.
class SizeSum {
 public:
  void add(const std::string& tensor, uint64_t elements, uint32_t type,
           uint64_t bytes) {
    if (counted_.insert(tensor).second) size_.parameters += elements;
    if (stored_.insert({tensor, type}).second) size_.weight_bytes += bytes;
  }
  const ModelSize& size() const { return size_; }

 private:
  ModelSize size_;
  std::set<std::string> counted_;
  std::set<std::pair<std::string, uint32_t>> stored_;
};

// The dtype in which a dense format stores its codes; else a number that no
// dtype has.
uint32_t stored_type(uint32_t weight_format) {
  const uint32_t dtype =
      dtype_from_name(format::weight_format_name(weight_format));
  return dtype != TSR_DTYPE_NONE ? dtype : 0x10000 + weight_format;
}

}  // namespace

double ModelSize::bits_per_weight() const {
  return parameters == 0 ? 0.0
                         : static_cast<double>(weight_bytes) * 8.0 /
                               static_cast<double>(parameters);
}

Result<uint64_t> encoded_bytes(const LinearChoice& choice, uint32_t N,
                               uint32_t K) {
  const uint64_t elements = uint64_t{N} * K;
  if (const auto* block = format::find_gguf_block(choice.format)) {
    if (K % block->values != 0) {
      return Status(
          TSR_INVALID_ARGUMENT,
          fmt::format("K={} is not a multiple of {}", K, block->values));
    }
    return elements / block->values * block->bytes;
  }
  switch (choice.format) {
    case TSR_WEIGHT_F32:
      return elements * 4;
    case TSR_WEIGHT_F16:
    case TSR_WEIGHT_BF16:
      return elements * 2;
    case TSR_WEIGHT_I8:
    case TSR_WEIGHT_U8:
      return elements + scale_bytes(choice, N, K);
    case TSR_WEIGHT_I4:
    case TSR_WEIGHT_U4:
      return N * ((uint64_t{K} + 1) / 2) + scale_bytes(choice, N, K);
    default:
      return Status(TSR_UNIMPLEMENTED,
                    "no size for " + format::weight_format_name(choice.format));
  }
}

Result<ModelSize> model_size(const Graph& graph, const WeightSource& source,
                             const Scheme& scheme) {
  SizeSum sum;
  for (const GraphTensor& tensor : graph.tensors) {
    if (!tensor.constant || tensor.source.empty()) continue;
    TSR_ASSIGN_OR_RETURN(const SourceTensor found,
                         source.tensor(tensor.source));
    const uint32_t dtype = constant_dtype(tensor, found.dtype);
    const uint64_t elements = element_count(tensor);
    sum.add(tensor.source, elements, dtype, dtype_bytes(dtype, elements));
  }
  for (const GraphWeight& weight : graph.weights) {
    const LinearChoice choice = choose_linear(weight, scheme);
    TSR_ASSIGN_OR_RETURN(
        const uint64_t bytes,
        encoded_bytes(choice, weight.N, weight.K).annotate(weight.name));
    sum.add(weight.source, uint64_t{weight.N} * weight.K,
            stored_type(choice.format), bytes);
  }
  return sum.size();
}

Result<uint64_t> product_bytes(const Graph& graph, const Scheme& scheme) {
  uint64_t sum = 0;
  for (const GraphWeight& weight : graph.weights) {
    TSR_ASSIGN_OR_RETURN(
        const uint64_t bytes,
        encoded_bytes(choose_linear(weight, scheme), weight.N, weight.K)
            .annotate(weight.name));
    sum += bytes;
  }
  return sum;
}

Result<uint64_t> kv_cache_bytes(const Graph& graph, uint32_t kv_format,
                                uint64_t tokens, uint32_t block_size) {
  const uint64_t blocks = (tokens + block_size - 1) / block_size;
  uint64_t bytes = 0;
  for (const GraphKv& kv : graph.kv) {
    tsr_kv_desc desc{};
    desc.struct_size = sizeof(desc);
    desc.format = kv_format;
    desc.num_kv_heads = kv.num_kv_heads;
    desc.head_dim = kv.head_dim;
    desc.block_size = block_size;
    desc.num_blocks = 1;
    TSR_ASSIGN_OR_RETURN(const format::KvBlockLayout layout,
                         format::kv_block_layout(desc));
    bytes += blocks * layout.bytes;
  }
  return bytes;
}

}  // namespace tessera::cli
