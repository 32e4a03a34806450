// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/statistics/compare_samples.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace tessera::bench {
namespace {

struct Ranked {
  double value;
  bool is_a;
};

// How many ways there are to draw n of n + m ranks so that U is u, for each u,
// as shares of all ways: each of the n brings 0 to m, none less than the one
// before.
std::vector<double> exact_law(size_t n, size_t m) {
  // ways[j][u]: of j drawn so far; the value v is brought by any number more.
  std::vector<std::vector<double>> ways(n + 1, std::vector<double>(n * m + 1));
  ways[0][0] = 1.0;
  for (size_t v = 0; v <= m; ++v) {
    for (size_t j = 1; j <= n; ++j) {
      for (size_t u = v; u <= n * m; ++u) ways[j][u] += ways[j - 1][u - v];
    }
  }
  const double all = std::accumulate(ways[n].begin(), ways[n].end(), 0.0);
  for (double& share : ways[n]) share /= all;
  return std::move(ways[n]);
}

// Two-sided, without ties.
double exact_p(size_t n, size_t m, double u) {
  const double product = static_cast<double>(n) * static_cast<double>(m);
  const double smaller = std::min(u, product - u);
  const std::vector<double> law = exact_law(n, m);
  double tail = 0.0;
  for (size_t i = 0; i < law.size() && static_cast<double>(i) <= smaller; ++i) {
    tail += law[i];
  }
  return std::min(1.0, 2.0 * tail);
}

}  // namespace

double least_mann_whitney_p(size_t n, size_t m) {
  if (n == 0 || m == 0) return 1.0;
  const auto of = [](size_t x) { return static_cast<double>(x); };
  // Two of the ways to draw n of n + m.
  const double log_ways = std::lgamma(of(n + m + 1)) - std::lgamma(of(n + 1)) -
                          std::lgamma(of(m + 1));
  return std::min(1.0, 2.0 * std::exp(-log_ways));
}

double mann_whitney_p(std::span<const double> a, std::span<const double> b) {
  if (a.empty() || b.empty()) return 1.0;
  std::vector<Ranked> all;
  all.reserve(a.size() + b.size());
  for (const double value : a) all.push_back({value, true});
  for (const double value : b) all.push_back({value, false});
  std::sort(all.begin(), all.end(),
            [](const Ranked& x, const Ranked& y) { return x.value < y.value; });
  double rank_sum = 0.0;  // of a; equal values share their mean rank
  double ties = 0.0;      // sum of t^3 - t
  for (size_t first = 0; first < all.size();) {
    size_t last = first;
    while (last < all.size() && all[last].value == all[first].value) ++last;
    const auto count = static_cast<double>(last - first);
    const double rank = static_cast<double>(first + last + 1) / 2.0;
    for (size_t i = first; i < last; ++i) {
      if (all[i].is_a) rank_sum += rank;
    }
    ties += count * count * count - count;
    first = last;
  }
  const auto n = static_cast<double>(a.size());
  const auto m = static_cast<double>(b.size());
  const double u = rank_sum - n * (n + 1.0) / 2.0;
  constexpr size_t kMostExact = 40;
  if (ties == 0.0 && std::max(a.size(), b.size()) <= kMostExact) {
    return exact_p(a.size(), b.size(), u);
  }
  const double total = n + m;
  const double variance =
      n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
  if (variance <= 0.0) return 1.0;
  const double distance = std::max(0.0, std::abs(u - n * m / 2.0) - 0.5);
  return std::erfc(distance / std::sqrt(2.0 * variance));
}

std::vector<double> holm_adjusted(std::span<const double> p) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t x, size_t y) { return p[x] < p[y]; });
  std::vector<double> adjusted(p.size());
  double largest = 0.0;
  for (size_t i = 0; i < order.size(); ++i) {
    const double scaled = static_cast<double>(p.size() - i) * p[order[i]];
    largest = std::max(largest, std::min(1.0, scaled));
    adjusted[order[i]] = largest;
  }
  return adjusted;
}

}  // namespace tessera::bench
