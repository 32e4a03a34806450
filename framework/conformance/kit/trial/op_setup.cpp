// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/trial/op_setup.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "framework/format/element.hpp"
#include "framework/tensor/dtype.hpp"
#include "tessera/record.hpp"

namespace tessera::conformance {
namespace {

tsr_tensor make_tensor(uint32_t dtype, const TensorShape& shape) {
  assert(!shape.dims.empty() && shape.dims.size() <= 4);
  tsr_tensor tensor{};
  tensor.struct_size = sizeof(tensor);
  tensor.dtype = dtype;
  tensor.role = shape.role;
  tensor.flags = shape.constant ? uint32_t{TSR_TENSOR_CONSTANT} : 0U;
  tensor.rank = static_cast<uint32_t>(shape.dims.size());
  tensor.view_of = TSR_NONE;
  tensor.row_stride = shape.row_stride;
  std::copy(shape.dims.begin(), shape.dims.end(), tensor.dims);
  return tensor;
}

size_t span_bytes(const tsr_tensor& tensor) {
  return dtype_bytes(tensor.dtype, sdk::tensor_span(tensor));
}

}  // namespace

uint32_t SetupTensor::cols() const { return tensor.dims[tensor.rank - 1].max; }

uint64_t SetupTensor::stride() const {
  return tensor.row_stride == 0 ? cols() : tensor.row_stride;
}

uint64_t SetupTensor::rows() const {
  uint64_t rows = 1;
  for (uint32_t d = 0; d + 1 < tensor.rank; ++d) rows *= tensor.dims[d].max;
  return rows;
}

uint32_t OpSetup::add(SetupTensor tensor) {
  builder_.add_tensor(tensor.tensor);
  tensors_.push_back(std::move(tensor));
  return static_cast<uint32_t>(tensors_.size() - 1);
}

uint32_t OpSetup::add_floats(const std::string& name, uint32_t dtype,
                             const TensorShape& shape,
                             const std::vector<float>& values) {
  SetupTensor made{name, make_tensor(dtype, shape), {}};
  made.contents.assign(span_bytes(made.tensor), kPoison);
  const size_t element = dtype_bytes(dtype, 1);
  assert(values.size() == made.rows() * made.cols());
  for (uint64_t row = 0; row < made.rows(); ++row) {
    std::byte* place = made.contents.data() + row * made.stride() * element;
    for (uint32_t col = 0; col < made.cols(); ++col) {
      format::set_element_value(dtype, place, col,
                                values[row * made.cols() + col]);
    }
  }
  return add(std::move(made));
}

uint32_t OpSetup::add_ints(const std::string& name, const TensorShape& shape,
                           const std::vector<int32_t>& values) {
  SetupTensor made{name, make_tensor(TSR_I32, shape), {}};
  made.contents.assign(span_bytes(made.tensor), std::byte{0x7f});
  const size_t bytes =
      std::min(made.contents.size(), values.size() * sizeof(int32_t));
  if (bytes != 0) std::memcpy(made.contents.data(), values.data(), bytes);
  return add(std::move(made));
}

uint32_t OpSetup::add_output(const std::string& name, uint32_t dtype,
                             const TensorShape& shape) {
  SetupTensor made{name, make_tensor(dtype, shape), {}};
  made.contents.assign(span_bytes(made.tensor), kPoison);
  made.is_output = true;
  return add(std::move(made));
}

uint32_t OpSetup::add_transient(const std::string& name, uint32_t dtype,
                                const TensorShape& shape) {
  SetupTensor made{name, make_tensor(dtype, shape), {}};
  made.tensor.flags = TSR_TENSOR_TRANSIENT;
  return add(std::move(made));
}

uint32_t OpSetup::add_view(const std::string& name, uint32_t owner,
                           const TensorShape& shape, uint32_t offset) {
  SetupTensor made{name, make_tensor(tensors_[owner].tensor.dtype, shape), {}};
  made.tensor.view_of = owner;
  made.tensor.view_offset = offset;
  return add(std::move(made));
}

uint32_t OpSetup::add_weight(format::WeightData weight) {
  weights_.push_back(std::move(weight));
  return static_cast<uint32_t>(weights_.size() - 1);
}

uint32_t OpSetup::add_kv_pool(const tsr_kv_desc& desc) {
  kv_pools_.push_back(desc);
  return static_cast<uint32_t>(kv_pools_.size() - 1);
}

void OpSetup::set_limits(uint32_t max_tokens, uint32_t max_seqs,
                         uint32_t max_outputs, uint32_t max_blocks_per_seq) {
  builder_.set_limits(max_tokens, max_seqs, max_outputs, max_blocks_per_seq);
}

std::vector<std::byte> OpSetup::record(
    std::span<const uint64_t> weights, std::span<const uint64_t> kv_pools,
    std::span<const tsr_binding> bindings) const {
  ProgramBuilder builder = builder_;
  for (const uint64_t id : weights) builder.add_weight(id);
  for (const uint64_t id : kv_pools) builder.add_kv_pool(id);
  for (const tsr_binding& binding : bindings) builder.bind(binding);
  std::vector<std::byte> record = builder.build();
  return edit_program ? edit_program(record) : record;
}

std::vector<std::byte> OpSetup::question() const {
  std::vector<uint64_t> weights;
  std::vector<uint64_t> pools;
  for (size_t i = 0; i < weights_.size(); ++i) weights.push_back(1000 + i);
  for (size_t i = 0; i < kv_pools_.size(); ++i) pools.push_back(2000 + i);
  return record(weights, pools, {});
}

std::vector<float> OpSetup::floats(uint32_t id) const {
  const SetupTensor& made = tensors_[id];
  const bool is_view = made.tensor.view_of != TSR_NONE;
  const SetupTensor& owner = is_view ? tensors_[made.tensor.view_of] : made;
  const size_t skip = dtype_bytes(made.tensor.dtype, made.tensor.view_offset);
  const std::vector<double> values = read_values(
      made.tensor, std::span(owner.contents).subspan(is_view ? skip : 0),
      made.rows());
  return {values.begin(), values.end()};
}

tsr_dim fixed_dim(uint32_t size) { return {size, TSR_DIM_FIXED}; }
tsr_dim token_dim(uint32_t max) { return {max, TSR_DIM_TOKENS}; }

std::vector<double> read_values(const tsr_tensor& tensor,
                                std::span<const std::byte> memory,
                                uint64_t rows) {
  const uint32_t cols = tensor.dims[tensor.rank - 1].max;
  const uint64_t stride = tensor.row_stride == 0 ? cols : tensor.row_stride;
  const size_t element = dtype_bytes(tensor.dtype, 1);
  std::vector<double> values;
  values.reserve(rows * cols);
  for (uint64_t row = 0; row < rows; ++row) {
    const std::byte* place = memory.data() + row * stride * element;
    for (uint32_t col = 0; col < cols; ++col) {
      values.push_back(format::element_value(tensor.dtype, place, col));
    }
  }
  return values;
}

std::vector<float> normal_values(size_t count, float scale, std::mt19937& rng) {
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> values(count);
  for (float& value : values) value = normal(rng);
  return values;
}

}  // namespace tessera::conformance
