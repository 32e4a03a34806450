// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/problem/divide_cells.hpp"

#include <algorithm>
#include <utility>

namespace tessera::planner {
namespace {

constexpr uint32_t kRows = 64;  // a cut is at a multiple of these

class Divider {
 public:
  using MayPair = std::function<bool(uint32_t, uint32_t)>;

  Divider(const Problem& problem, const MayPair& may_pair)
      : problem_(problem), may_pair_(may_pair) {}

  void divide(LinearClass& entry) const {
    const std::vector<Cell> whole = entry.cells;
    for (const Cell& cell : whole) {
      if (cell.parts.size() != 1) return;
    }
    for (const Cell& host : whole) {
      for (const Cell& guest : whole) {
        if (!may_share(host, guest)) continue;
        if (auto divided = best_cut(entry, host, guest)) {
          entry.cells.push_back(std::move(*divided));
        }
      }
    }
  }

 private:
  bool may_share(const Cell& host, const Cell& guest) const {
    const DeviceModel& a = problem_.devices[host.host];
    const DeviceModel& b = problem_.devices[guest.host];
    if (may_pair_ && !may_pair_(host.host, guest.host)) return false;
    return host.host != guest.host && host.scheme == guest.scheme &&
           host.parts.front().device == host.host &&
           guest.parts.front().device == guest.host &&
           a.simulated == b.simulated && a.compute != b.compute &&
           host.costs[kPrefill] && host.costs[kDecode] &&
           guest.costs[kPrefill] && guest.costs[kDecode];
  }

  double transfer(uint32_t from, uint32_t to, uint64_t bytes) const {
    for (const TransferCurve& curve : problem_.transfers) {
      if (curve.from == from && curve.to == to) return curve.ns(bytes);
    }
    return -1.0;
  }

  uint64_t tokens(uint32_t phase) const {
    const Workload& work = problem_.workload;
    return phase == kPrefill ? uint64_t{work.prompt} * work.batch : work.batch;
  }

  // What each of the two takes in a phase if the host keeps `rows`.
  std::pair<double, double> times(const LinearClass& entry, const Cell& host,
                                  const Cell& guest, uint32_t phase,
                                  uint32_t rows) const {
    const double share = double{1} * rows / entry.N;
    const uint64_t given = entry.N - rows;
    const double there =
        transfer(host.host, guest.host, tokens(phase) * entry.K * 4);
    const double back =
        transfer(guest.host, host.host, tokens(phase) * given * 4);
    if (there < 0.0 || back < 0.0) return {0.0, kNever};
    return {share * host.costs[phase]->ns,
            there + (1.0 - share) * guest.costs[phase]->ns + back};
  }

  double weighted(double prefill, double decode) const {
    return prefill + problem_.workload.generate * decode;
  }

  std::optional<Cell> best_cut(const LinearClass& entry, const Cell& host,
                               const Cell& guest) const {
    double least = weighted(host.costs[kPrefill]->ns, host.costs[kDecode]->ns);
    uint32_t cut = 0;
    for (uint32_t rows = kRows; rows < entry.N; rows += kRows) {
      const auto [a, b] = times(entry, host, guest, kPrefill, rows);
      const auto [c, d] = times(entry, host, guest, kDecode, rows);
      const double ns = weighted(std::max(a, b), std::max(c, d));
      if (ns >= least) continue;
      least = ns;
      cut = rows;
    }
    if (cut == 0) return std::nullopt;
    return divided(entry, host, guest, cut);
  }

  Cell divided(const LinearClass& entry, const Cell& host, const Cell& guest,
               uint32_t cut) const {
    const double share = double{1} * cut / entry.N;
    Cell cell = host;
    const Part& first = host.parts.front();
    const Part& second = guest.parts.front();
    cell.parts = {
        {first.device, 0, cut, part_of(first.weight_bytes, share), {}},
        {second.device,
         cut,
         entry.N,
         part_of(second.weight_bytes, 1.0 - share) + buffers(entry),
         {}}};
    for (const uint32_t phase : {kPrefill, kDecode}) {
      const auto [a, b] = times(entry, host, guest, phase, cut);
      cell.parts[0].ns[phase] = a;
      cell.parts[1].ns[phase] = b;
      Cost& cost = *cell.costs[phase];
      cost.ns = std::max(a, b);
      cost.energy_nj = share * cost.energy_nj +
                       (1.0 - share) * guest.costs[phase]->energy_nj;
    }
    return cell;
  }

  static uint64_t part_of(uint64_t bytes, double share) {
    return static_cast<uint64_t>(share * static_cast<double>(bytes)) + 1;
  }

  // Inputs and results on the guest.
  uint64_t buffers(const LinearClass& entry) const {
    return tokens(kPrefill) * (uint64_t{entry.K} + entry.N) * 4;
  }

  static constexpr double kNever = 1e300;

  const Problem& problem_;
  const MayPair& may_pair_;
};

}  // namespace

void offer_divided_cells(
    Problem& problem, const std::function<bool(uint32_t, uint32_t)>& may_pair) {
  const Divider divider(problem, may_pair);
  for (LinearClass& entry : problem.linear_classes) divider.divide(entry);
}

}  // namespace tessera::planner
