// SPDX-License-Identifier: Apache-2.0
//
// The one door to oneDNN (2.6 and 3.x): dense matrix products in one thread.

#pragma once

#include <cstdint>
#include <memory>

namespace tessera::cpu {

// dst[M, N] = src[M, K] . weights[N, K]^T.  Strides are elements between rows.
//
//   F32, F16, BF16  src and weights have that type, dst is f32
//   I8              src is u8, weights are s8 in layout kI8Tiles of weight.hpp,
//                   dst is i32, exact
struct DenseShape {
  uint32_t dtype = 0;  // TSR_F32, TSR_F16, TSR_BF16 or TSR_I8
  int64_t M = 0;
  int64_t N = 0;
  int64_t K = 0;
  int64_t src_stride = 0;
  int64_t weights_stride = 0;  // I8: 0
  int64_t dst_stride = 0;

  bool operator==(const DenseShape&) const = default;
};

// A product that oneDNN has generated code for.
class DenseMatmul {
 public:
  virtual ~DenseMatmul() = default;
  // Computes dst on the calling thread alone, which keeps the scratch memory
  // that the product needs.  False if oneDNN fails.  Any thread.
  virtual bool run(const void* src, const void* weights, void* dst) const = 0;
};

// The product for `shape`, generated on first use; the last 64 are kept.  Null
// if this build or oneDNN has no fast code for it.
// Threads: any.
std::shared_ptr<const DenseMatmul> find_dense_matmul(const DenseShape& shape);

// True if products of that type exist here at all.
// Threads: any.
bool has_dense_matmul(uint32_t dtype);

}  // namespace tessera::cpu
