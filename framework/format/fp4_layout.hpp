// SPDX-License-Identifier: Apache-2.0
//
// MXFP4 and NVFP4 as other programs store them, and as the planes of
// tessera/types.h.  One name stands for three layouts of NVFP4 with two
// conventions for the tensor's scale: taking one for another gives weights that
// are wrong by many orders of magnitude, and no error.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/weight.hpp"

namespace tessera::format {

//   layout                  codes            scales            tensor scale
//   Nvfp4CompressedTensors  weight_packed    weight_scale weight_global_scale,
//   divides Nvfp4ModelOpt           weight           weight_scale
//   weight_scale_2, multiplies Nvfp4Gguf               blocks of 64     in the
//   blocks     .scale, multiplies Mxfp4CompressedTensors  weight_packed
//   weight_scale      none Mxfp4Gguf               blocks of 32     in the
//   blocks     none
//
// Outside GGUF: codes two a byte, even columns low, [N, K / 2]; scales one a
// byte, [N, K / 16] E4M3 or [N, K / 32] E8M0.
enum class Fp4Layout {
  kNvfp4CompressedTensors,
  kNvfp4ModelOpt,
  kNvfp4Gguf,
  kMxfp4CompressedTensors,
  kMxfp4Gguf,
};

// One weight as a file has it.
struct Fp4Tensors {
  std::span<const std::byte> codes;
  std::span<const std::byte> scales;  // empty in GGUF
  float tensor_scale = 1.0f;
};

// The same with bytes of its own.
struct Fp4Bytes {
  std::vector<std::byte> codes;
  std::vector<std::byte> scales;
  float tensor_scale = 1.0f;

  Fp4Tensors tensors() const { return {codes, scales, tensor_scale}; }
};

// The layout of a weight whose tensors have these names after the module's own
// ("weight_packed", "weight_scale_2", ...), outside GGUF.
//
// Errors  INVALID_ARGUMENT if they are no FP4 weight, or have the tensor scales
//         of both conventions
Result<Fp4Layout> find_fp4_layout(std::span<const std::string_view> names);

// An MXFP4 or NVFP4 weight that decodes to what `tensors` mean.  Codes and
// scales keep their bits, but for what only GGUF's NVFP4 scales have: the byte
// 0x7f becomes 0, bit 7 is cleared.  A divisor becomes SCALE2 = RN(1 /
// divisor), so real values are within one rounding of f32.
//
// Errors  INVALID_ARGUMENT if K is not whole blocks, a span has not the size
//         that N and K ask for, a scale is NaN, does not fit E4M3 (GGUF's 0xff)
//         or the tensor scale is not positive (a multiplier may be 0) and
//         finite
Result<WeightData> read_fp4(Fp4Layout layout, uint32_t N, uint32_t K,
                            const Fp4Tensors& tensors);

// The weight in a layout, bit for bit but for a divisor, which is
// RN(1 / SCALE2).
//
// Errors  INVALID_ARGUMENT if the weight has not the layout's format, K is not
//         whole blocks, SCALE2 is not one number, or GGUF cannot hold a scale:
//         one below zero or NaN
Result<Fp4Bytes> write_fp4(Fp4Layout layout, const WeightData& weight);

}  // namespace tessera::format
