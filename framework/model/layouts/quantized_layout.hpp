// SPDX-License-Identifier: Apache-2.0
//
// How a program stores quantized linears in a checkpoint.  One class per
// program; quantized_folder.hpp chooses.

#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/scheme.hpp"
#include "framework/format/weight.hpp"
#include "framework/graph/attention_scales.hpp"
#include "framework/model/checkpoint.hpp"

namespace tessera {

// One linear, known without reading its numbers.
struct StoredLinear {
  LinearChoice choice;
  uint32_t N = 0;
  uint32_t K = 0;
};

// The tensors of one linear: "<module>.<part>".  Borrows the checkpoint.
class ModuleTensors {
 public:
  ModuleTensors(const Checkpoint& checkpoint, std::string module)
      : checkpoint_(&checkpoint), module_(std::move(module)) {}

  const std::string& module() const { return module_; }

  // Null if there is no such tensor.
  const TensorView* find(const std::string& part) const {
    return checkpoint_->find(module_ + "." + part);
  }

  // Errors  NOT_FOUND or INVALID_ARGUMENT, naming the tensor, if it is missing
  //         or its type is none of `dtypes`
  Result<const TensorView*> get(const std::string& part,
                                std::initializer_list<uint32_t> dtypes) const;

  // The same with its shape checked: [rows, cols], where [rows] stands for
  // [rows, 1] and a scalar for [1, 1].
  Result<const TensorView*> get(const std::string& part,
                                std::initializer_list<uint32_t> dtypes,
                                uint64_t rows, uint64_t cols) const;

  // "tensor <module>.<part>: <problem>".
  Status error(const std::string& part, const std::string& problem) const;

 private:
  const Checkpoint* checkpoint_;
  std::string module_;
};

class QuantizedLayout {
 public:
  virtual ~QuantizedLayout() = default;

  // Nothing if the weight is in plain floats.
  //
  // Errors  NOT_FOUND, INVALID_ARGUMENT or UNIMPLEMENTED, naming the tensor, if
  //         one is missing, or has another shape or type than the layout says
  virtual Result<std::optional<StoredLinear>> find(
      const ModuleTensors& tensors) const = 0;

  // Static scales of a layer's attention; nothing if there are none.
  //
  // Errors  as find()
  virtual Result<std::optional<AttentionScales>> attention(
      const Checkpoint& /*checkpoint*/, uint32_t /*layer*/) const {
    return std::optional<AttentionScales>();
  }

  // Requires  find() gave `stored`.
  // Errors    INVALID_ARGUMENT, naming the tensor, for numbers that cannot be
  virtual Result<format::WeightData> read(const ModuleTensors& tensors,
                                          const StoredLinear& stored) const = 0;
};

// Rows and columns of a matrix whose sides fit 31 bits and are not 0.
// Errors  INVALID_ARGUMENT, naming the tensor
Result<std::pair<uint32_t, uint32_t>> matrix_shape(const TensorView& view);

// How many groups of `group_size` a row of K has; 0 stands for K.
inline uint32_t count_groups(uint32_t K, uint32_t group_size) {
  return group_size == 0 ? 1 : (K + group_size - 1) / group_size;
}

// A plane of zeros with bytes of its own.
format::Plane make_plane(uint32_t role, uint32_t dtype, uint32_t rows,
                         uint32_t cols);

// The planes CODES (I8, U8, I4 or U4), and, with their blocks set, SCALE and
// ZERO_POINT (unless symmetric) of a linear, all zero.  `scale_rows` is N, or 1
// for one scale per tensor.
format::WeightData make_integer_weight(const StoredLinear& stored,
                                       uint32_t scale_dtype,
                                       uint32_t scale_rows);

// What is added to a signed code to make that of the format: 8 for U4, 128 for
// U8, else 0.
int32_t code_offset(uint32_t format);

// Column order that sorts group indices, ascending within a group; empty if
// they are sorted.
//
// Errors  INVALID_ARGUMENT if the columns are not divided into groups of
//         group_size
Result<std::vector<int32_t>> order_of_groups(std::span<const int32_t> group_of,
                                             uint32_t group_size);

// Adds the plane PERMUTATION; nothing for an empty order.
void add_permutation(std::span<const int32_t> order,
                     format::WeightData* weight);

// Adds the planes ACT_SCALE, ACT_INV and, if it is not 0, ACT_ZERO_POINT.
// Errors  INVALID_ARGUMENT if scale is not positive and finite
Status add_static_scale(float scale, int32_t zero_point,
                        format::WeightData* weight);

// Element `index` of a float or integer tensor.
double tensor_value(const TensorView& view, uint64_t index);

}  // namespace tessera
