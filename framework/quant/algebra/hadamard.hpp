// SPDX-License-Identifier: Apache-2.0
//
// Orthogonal matrices that spread outliers over all channels: Hadamard where
// one is known, with random signs.

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera::quant {

// A matrix of +1 and -1, [order, order], with H H^T = order * I: by Sylvester
// (powers of two) and Paley I and II (q prime), or a power of two times one of
// those; nullopt if these give none.
//
// Source  Paley, J. Math. Phys. 12 (1933), 311; Hedayat and Wallis, Ann.
//         Statist. 6 (1978), section 3
std::optional<std::vector<int8_t>> hadamard_matrix(uint32_t order);

// Q = diag(signs) (A (x) H) / norm, orthogonal: H the Sylvester matrix of a
// power of two, A [m, m] a small Hadamard matrix (12, 20, 28 ...) or, where
// none is known, a random orthogonal one.  Applying it costs m + log2 per
// element.
class Rotation {
 public:
  // The same for the same size and seed, on every machine with IEEE doubles.
  //
  // Errors  INVALID_ARGUMENT if size is 0; UNIMPLEMENTED if its odd part is
  //         above 2^11 and no Hadamard matrix is known
  static Result<Rotation> create(uint32_t size, uint32_t seed);

  uint32_t size() const { return static_cast<uint32_t>(signs_.size()); }
  // True if all elements have one magnitude, which spreads outliers best.
  bool is_hadamard() const { return is_hadamard_; }

  // x := x Q for each row of x[count, size].
  void apply(std::span<double> rows) const;

 private:
  std::vector<double> signs_;  // [size]: +1 or -1, times the norm
  std::vector<double> small_;  // A, [m, m]
  uint32_t small_size_ = 1;
  bool is_hadamard_ = true;
};

}  // namespace tessera::quant
