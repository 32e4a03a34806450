// SPDX-License-Identifier: Apache-2.0
//
// Schemes on a chip: what runs on the cube, what on the vector cores.

#include <algorithm>
#include <string>

#include "backends/npu_sim/compiler/gemm/plan.hpp"
#include "backends/npu_sim/compiler/gemm/tiles.hpp"
#include "backends/npu_sim/machine/costs.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kMostElements = int64_t{1} << 38;

[[noreturn]] void refuse(const Profile& profile, const Gemm& gemm,
                         const std::string& why) {
  throw sdk::Error(TSR_UNIMPLEMENTED, std::string("gemm ") +
                                          name_of(gemm.scheme) + ": " +
                                          profile.name + " has " + why);
}

GemmKind types_of(const Gemm& gemm) {
  GemmKind kind;
  const auto set = [&](Type cube, Type stored) {
    kind.cube = cube;
    kind.stored_weight = stored;
    kind.widens_weight = cube != stored;
  };
  switch (gemm.scheme) {
    case Scheme::kW16A16:
      set(Type::kF16, Type::kF16);
      break;
    case Scheme::kBf16:
      set(Type::kBf16, Type::kBf16);
      break;
    case Scheme::kW8A16:
      set(Type::kF16, Type::kS8);
      break;
    case Scheme::kW4A16:
      set(Type::kF16, Type::kS4);
      break;
    case Scheme::kW4A8:
      set(Type::kS8, Type::kS4);
      break;
    case Scheme::kW4A4:
      set(Type::kS4, Type::kS4);
      break;
    case Scheme::kFp8:
      set(Type::kF8, Type::kF8);
      break;
    case Scheme::kInt8:
    case Scheme::kW8A8:
    case Scheme::kW8A8Dynamic:
    case Scheme::kW8A8Sc:
      set(Type::kS8, Type::kS8);
      break;
  }
  return kind;
}

void check_types(const Profile& profile, const Gemm& gemm,
                 const GemmKind& kind) {
  if (kind.cube == Type::kBf16 && !profile.cube.bf16) {
    refuse(profile, gemm, "no bf16; w16a16 would work");
  }
  if (kind.cube == Type::kF8 && profile.cube.macs_f8 == 0) {
    refuse(profile, gemm, "no fp8, which came with 950; w8a8 would work");
  }
  if (kind.cube == Type::kS4 && profile.cube.macs_s4 == 0) {
    refuse(profile, gemm, "no int4; w8a8 would work");
  }
  if (gemm.scheme == Scheme::kW8A8Sc) {
    if (profile.unzip.engines == 0) {
      refuse(profile, gemm,
             "no weight-unzip engine, which 310p has; w8a8 would work");
    }
    if (!(gemm.compression > 0) || gemm.compression > 1.25 ||
        gemm.compression * static_cast<double>(profile.unzip.max_ratio) < 1) {
      throw sdk::Error(TSR_INVALID_ARGUMENT,
                       "gemm w8a8sc: compression " +
                           std::to_string(gemm.compression) + " is outside 1/" +
                           std::to_string(profile.unzip.max_ratio) +
                           " to 1.25");
    }
  }
}

void check_shape(const Gemm& gemm) {
  const auto is_wrong = [](int64_t a, int64_t b) {
    return a <= 0 || b <= 0 || a > kMostElements / b;
  };
  if (is_wrong(gemm.M, gemm.N) || is_wrong(gemm.N, gemm.K) ||
      is_wrong(gemm.M, gemm.K)) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "gemm " + std::to_string(gemm.M) + " x " +
                         std::to_string(gemm.N) + " x " +
                         std::to_string(gemm.K) +
                         ": each side must be above 0, each matrix at most "
                         "2^38 elements");
  }
}

void check_result(const Profile& profile, const Gemm& gemm) {
  if (gemm.out == Type::kBf16 && !profile.cube.bf16) {
    refuse(profile, gemm, "no bf16; results in f16 would work");
  }
  if (gemm.out == Type::kS4 || gemm.out == Type::kF8) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     std::string("gemm ") + name_of(gemm.scheme) +
                         ": results in " + name_of(gemm.out) +
                         " do not leave the chip; s8 does");
  }
}

// The cube adds up whole fractals, so that is where a sum can end.
void check_groups(const Gemm& gemm, const GemmKind& kind) {
  const int64_t fractal = fractal_k(kind.cube);
  if (!has_group_sums(gemm) || gemm.group_size % fractal == 0) return;
  const int64_t nearest =
      std::max(fractal, (gemm.group_size + fractal / 2) / fractal * fractal);
  throw sdk::Error(TSR_INVALID_ARGUMENT,
                   std::string("gemm ") + name_of(gemm.scheme) +
                       ": group_size " + std::to_string(gemm.group_size) +
                       " is no multiple of the " + std::to_string(fractal) +
                       " values that the cube sums at a time; " +
                       std::to_string(nearest) + " would work");
}

// Integer sums whose scales the fixed pipe has, but not the type of the result.
bool leaves_as_bf16(const Gemm& gemm) {
  return gemm.out == Type::kBf16 &&
         (gemm.scheme == Scheme::kW8A8 || gemm.scheme == Scheme::kW8A8Sc);
}

}  // namespace

GemmKind kind_of(const Profile& profile, const Gemm& gemm) {
  check_shape(gemm);
  GemmKind kind = types_of(gemm);
  check_types(profile, gemm, kind);
  check_result(profile, gemm);
  check_groups(gemm, kind);
  kind.unzips = gemm.scheme == Scheme::kW8A8Sc;
  const bool per_token =
      gemm.scheme == Scheme::kW8A8Dynamic || gemm.scheme == Scheme::kW4A8 ||
      gemm.scheme == Scheme::kW4A4 || gemm.scheme == Scheme::kFp8;
  kind.per_token = per_token;
  if (per_token && gemm.transpose_a) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     std::string("gemm ") + name_of(gemm.scheme) +
                         ": the scale of a token needs its values in a row; "
                         "without transpose_a it would work");
  }
  kind.quantizes_input = per_token || gemm.scheme == Scheme::kW8A8 ||
                         gemm.scheme == Scheme::kW8A8Sc;
  const Epilogue& epilogue = gemm.epilogue;
  kind.vector_inputs =
      (epilogue.multiply ? 1 : 0) + (epilogue.residual ? 1 : 0);
  if (has_group_sums(gemm)) kind.sum_k = gemm.group_size;
  kind.vector_epilogue = per_token || !profile.exit.fixpipe || epilogue.bias ||
                         epilogue.activation || kind.vector_inputs > 0 ||
                         kind.sum_k > 0 || leaves_as_bf16(gemm);
  // Convert, scale; scale per token; silu as exp, add, divide on half rate.
  kind.vector_passes = (bits_of(kind.cube) < 16 ? 2 : 1) + (per_token ? 1 : 0) +
                       (epilogue.bias ? 1 : 0) + (epilogue.activation ? 6 : 0) +
                       kind.vector_inputs;
  return kind;
}

}  // namespace tessera::npu
