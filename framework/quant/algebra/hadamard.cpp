// SPDX-License-Identifier: Apache-2.0
//
// Constructions of Hadamard matrices, and a fast product with them.

#include "framework/quant/algebra/hadamard.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <random>
#include <string>

namespace tessera::quant {
namespace {

bool is_prime(uint32_t n) {
  if (n < 2) return false;
  for (uint32_t d = 2; uint64_t{d} * d <= n; ++d) {
    if (n % d == 0) return false;
  }
  return true;
}

// chi[a]: 0 for a = 0, 1 for squares modulo the prime q, else -1.
std::vector<int8_t> quadratic_character(uint32_t q) {
  std::vector<int8_t> chi(q, -1);
  chi[0] = 0;
  for (uint64_t a = 1; a < q; ++a) chi[a * a % q] = 1;
  return chi;
}

// The conference matrix [q + 1, q + 1]: 0 on the diagonal, else +1 or -1.  It
// is symmetric if q % 4 is 1 and, with `first_column` -1, skew if it is 3.
std::vector<int8_t> conference_matrix(uint32_t q, int8_t first_column) {
  const uint32_t order = q + 1;
  const std::vector<int8_t> chi = quadratic_character(q);
  std::vector<int8_t> c(size_t{order} * order, 0);
  for (uint32_t i = 1; i < order; ++i) {
    c[i] = 1;
    c[size_t{i} * order] = first_column;
    for (uint32_t j = 1; j < order; ++j) {
      c[size_t{i} * order + j] = chi[(i + q - j) % q];
    }
  }
  return c;
}

// Paley I: I + C, q % 4 == 3.
std::vector<int8_t> paley_one(uint32_t q) {
  std::vector<int8_t> h = conference_matrix(q, -1);
  for (size_t i = 0; i <= q; ++i) h[i * (q + 2)] = 1;
  return h;
}

// Paley II: 0 becomes [1 -1; -1 -1] and +-1 becomes +-[1 1; 1 -1]; q % 4 == 1.
std::vector<int8_t> paley_two(uint32_t q) {
  const std::vector<int8_t> c = conference_matrix(q, 1);
  const size_t half = q + 1;
  const size_t order = 2 * half;
  std::vector<int8_t> h(order * order);
  constexpr int8_t kZero[4] = {1, -1, -1, -1};
  constexpr int8_t kOne[4] = {1, 1, 1, -1};
  for (size_t i = 0; i < order; ++i) {
    for (size_t j = 0; j < order; ++j) {
      const int8_t value = c[i / 2 * half + j / 2];
      const size_t corner = i % 2 * 2 + j % 2;
      h[i * order + j] = value == 0 ? kZero[corner]
                                    : static_cast<int8_t>(value * kOne[corner]);
    }
  }
  return h;
}

std::vector<int8_t> doubled(const std::vector<int8_t>& h, size_t order) {
  std::vector<int8_t> larger(4 * order * order);
  for (size_t i = 0; i < 2 * order; ++i) {
    for (size_t j = 0; j < 2 * order; ++j) {
      const int8_t value = h[i % order * order + j % order];
      larger[i * 2 * order + j] =
          i >= order && j >= order ? static_cast<int8_t>(-value) : value;
    }
  }
  return larger;
}

// A random orthogonal matrix: Gram-Schmidt, twice, over normal rows. Box-Muller
// by hand, because std::normal_distribution differs between libraries.
std::vector<double> random_orthogonal(uint32_t order, std::mt19937& rng) {
  const auto uniform = [&rng] {
    return (static_cast<double>(rng()) + 0.5) / 4294967296.0;
  };
  std::vector<double> q(size_t{order} * order);
  for (uint32_t i = 0; i < order; ++i) {
    double* row = q.data() + size_t{i} * order;
    for (uint32_t j = 0; j < order; ++j) {
      row[j] = std::sqrt(-2.0 * std::log(uniform())) *
               std::cos(2.0 * 3.14159265358979323846 * uniform());
    }
    for (int pass = 0; pass < 2; ++pass) {
      for (uint32_t other = 0; other < i; ++other) {
        const double* done = q.data() + size_t{other} * order;
        double dot = 0.0;
        for (uint32_t j = 0; j < order; ++j) dot += row[j] * done[j];
        for (uint32_t j = 0; j < order; ++j) row[j] -= dot * done[j];
      }
      double norm = 0.0;
      for (uint32_t j = 0; j < order; ++j) norm += row[j] * row[j];
      for (uint32_t j = 0; j < order; ++j) row[j] /= std::sqrt(norm);
    }
  }
  return q;
}

// Above this the dense part would dominate any model's weights.
constexpr uint32_t kMaxSmall = 1U << 11;

// x := x (A (x) H) for one row seen as [m, power]: H along rows, A across.
void apply_row(std::span<double> x, std::span<const double> small, size_t m,
               std::vector<double>& spare) {
  const size_t power = x.size() / m;
  for (size_t width = 1; width < power; width *= 2) {
    for (size_t i = 0; i < x.size(); i += 2 * width) {
      for (size_t j = i; j < i + width; ++j) {
        const double a = x[j];
        const double b = x[j + width];
        x[j] = a + b;
        x[j + width] = a - b;
      }
    }
  }
  if (m == 1) return;
  spare.assign(x.size(), 0.0);
  for (size_t i = 0; i < m; ++i) {
    for (size_t j = 0; j < m; ++j) {
      const double factor = small[i * m + j];
      for (size_t p = 0; p < power; ++p) {
        spare[j * power + p] += factor * x[i * power + p];
      }
    }
  }
  std::copy(spare.begin(), spare.end(), x.begin());
}

}  // namespace

std::optional<std::vector<int8_t>> hadamard_matrix(uint32_t order) {
  if (order == 1) return std::vector<int8_t>{1};
  if (order == 2) return std::vector<int8_t>{1, 1, 1, -1};
  if (order == 0 || order % 4 != 0) return std::nullopt;
  if (is_prime(order - 1)) return paley_one(order - 1);
  const uint32_t q = order / 2 - 1;
  if (q % 4 == 1 && is_prime(q)) return paley_two(q);
  const auto half = hadamard_matrix(order / 2);
  if (!half) return std::nullopt;
  return doubled(*half, order / 2);
}

Result<Rotation> Rotation::create(uint32_t size, uint32_t seed) {
  if (size == 0) return Status(TSR_INVALID_ARGUMENT, "a rotation of size 0");
  std::mt19937 rng(seed);
  Rotation rotation;
  uint32_t m = size >> std::countr_zero(size);
  const uint32_t odd = m;
  while (m <= kMaxSmall && size % m == 0) {
    if (const auto h = hadamard_matrix(m)) {
      rotation.small_.assign(h->begin(), h->end());
      break;
    }
    m *= 2;
  }
  if (rotation.small_.empty()) {
    if (odd > kMaxSmall) {
      return Status(TSR_UNIMPLEMENTED,
                    "no rotation of size " + std::to_string(size) +
                        ": its odd part is " + std::to_string(odd));
    }
    m = odd;
    rotation.small_ = random_orthogonal(m, rng);
    for (double& value : rotation.small_) value *= std::sqrt(double{1} * m);
    rotation.is_hadamard_ = false;
  }
  rotation.small_size_ = m;
  rotation.signs_.resize(size);
  const double norm = 1.0 / std::sqrt(double{1} * size);
  for (double& sign : rotation.signs_) sign = rng() % 2 == 0 ? norm : -norm;
  return rotation;
}

void Rotation::apply(std::span<double> rows) const {
  std::vector<double> spare;
  for (size_t begin = 0; begin < rows.size(); begin += size()) {
    const auto row = rows.subspan(begin, size());
    for (size_t i = 0; i < row.size(); ++i) row[i] *= signs_[i];
    apply_row(row, small_, small_size_, spare);
  }
}

}  // namespace tessera::quant
