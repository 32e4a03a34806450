// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/rivals.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <utility>

#include "framework/planner/baselines.hpp"

namespace tessera::planner {
namespace {

// Attempts for each plan that is asked for: most may break a limit.
constexpr uint32_t kAttempts = 50;
constexpr uint32_t kLongestRun = 6;  // of segments that move together

class RivalFinder {
 public:
  RivalFinder(const Problem& problem, const BuiltChain& built,
              const MadePlan& chosen)
      : problem_(problem), built_(built), chosen_(chosen) {
    known_.insert(text_of(chosen.assignment));
  }

  void add(std::string kind, std::string detail, const Assignment& assignment) {
    if (!known_.insert(text_of(assignment)).second) return;
    auto prediction = predict(problem_, built_, assignment);
    if (!prediction.ok() || !prediction->feasible) return;
    rivals_.push_back({std::move(kind), std::move(detail), assignment,
                       std::move(*prediction)});
  }

  void add_uniform() {
    for (uint32_t device = 0; device < problem_.devices.size(); ++device) {
      for (uint32_t scheme = 0; scheme < problem_.schemes.size(); ++scheme) {
        Assignment all;
        all.segments.resize(problem_.segments.size());
        bool runs = true;
        for (uint32_t g = 0; runs && g < problem_.segments.size(); ++g) {
          runs = put(g, device, all.segments[g]);
          for (uint32_t i = 0; runs && i < linears(g).size(); ++i) {
            runs = set_scheme(g, i, device, scheme, all.segments[g]);
          }
        }
        if (!runs) continue;
        add("uniform",
            problem_.devices[device].name + " " + problem_.schemes[scheme],
            all);
      }
    }
  }

  void add_random(uint32_t count) {
    fill_up("random", count, [this](Assignment& assignment) {
      uint32_t device = 0;
      uint32_t left = 0;
      for (uint32_t g = 0; g < problem_.segments.size(); ++g) {
        if (left == 0) {
          device = below(problem_.devices.size());
          left = 1 + below(kLongestRun);
        }
        --left;
        if (!put(g, device, assignment.segments[g])) continue;
        for (uint32_t i = 0; i < linears(g).size(); ++i) {
          set_any(g, i, device, assignment.segments[g]);
        }
      }
    });
  }

  void add_moves(uint32_t count) {
    const std::vector<std::pair<uint32_t, uint32_t>> low = low_margins();
    fill_up("move", count, [&, this](Assignment& assignment) {
      const bool swaps = problem_.devices.size() == 1 || below(2) == 0;
      if (swaps && !low.empty()) {
        // The half with the least margins.
        const auto [g, i] = low[below((low.size() + 1) / 2)];
        set_any(g, i, assignment.segments[g].devices[kPrefill],
                assignment.segments[g]);
        return;
      }
      const uint32_t device = below(problem_.devices.size());
      const uint32_t first = below(problem_.segments.size());
      const uint32_t last =
          std::min<uint32_t>(first + 1 + below(kLongestRun),
                             static_cast<uint32_t>(problem_.segments.size()));
      for (uint32_t g = first; g < last; ++g) move(g, device, assignment);
    });
  }

  std::vector<Rival> take() { return std::move(rivals_); }

 private:
  template <typename Change>
  void fill_up(const char* kind, uint32_t count, const Change& change) {
    const size_t wanted = rivals_.size() + count;
    uint32_t number = 0;
    for (uint32_t i = 0; i < kAttempts * count && rivals_.size() < wanted;
         ++i) {
      Assignment assignment = chosen_.assignment;
      change(assignment);
      const size_t before = rivals_.size();
      add(kind, std::to_string(number), assignment);
      number += static_cast<uint32_t>(rivals_.size() - before);
    }
  }

  uint32_t below(size_t count) { return static_cast<uint32_t>(rng_() % count); }

  const std::vector<Linear>& linears(uint32_t g) const {
    return problem_.segments[g].linears;
  }

  const std::vector<Cell>& cells(uint32_t g, uint32_t i) const {
    return problem_.linear_classes[linears(g)[i].linear_class].cells;
  }

  // False, with nothing changed, if the device does not run the segment.
  bool put(uint32_t g, uint32_t device, Assignment::Segment& segment) const {
    const auto& sites =
        problem_.segment_classes[problem_.segments[g].segment_class].sites;
    for (uint32_t s = 0; s < sites.size(); ++s) {
      if (sites[s].device != device) continue;
      segment.devices = {device, device};
      segment.sites = {s, s};
      segment.linears.resize(linears(g).size());
      return true;
    }
    return false;
  }

  bool set_scheme(uint32_t g, uint32_t i, uint32_t device, uint32_t scheme,
                  Assignment::Segment& segment) const {
    for (uint32_t c = 0; c < cells(g, i).size(); ++c) {
      const Cell& cell = cells(g, i)[c];
      if (cell.host != device || cell.scheme != scheme) continue;
      segment.linears[i].cells = {c, c};
      return true;
    }
    return false;
  }

  void set_any(uint32_t g, uint32_t i, uint32_t device,
               Assignment::Segment& segment) {
    std::vector<uint32_t> fitting;
    for (uint32_t c = 0; c < cells(g, i).size(); ++c) {
      if (cells(g, i)[c].host == device) fitting.push_back(c);
    }
    if (fitting.empty()) return;
    const uint32_t c = fitting[below(fitting.size())];
    segment.linears[i].cells = {c, c};
  }

  // Linears keep their schemes where the device has them.
  void move(uint32_t g, uint32_t device, Assignment& assignment) {
    Assignment::Segment& segment = assignment.segments[g];
    std::vector<uint32_t> schemes;
    for (uint32_t i = 0; i < linears(g).size(); ++i) {
      schemes.push_back(cells(g, i)[segment.linears[i].cells[kDecode]].scheme);
    }
    if (!put(g, device, segment)) return;
    for (uint32_t i = 0; i < linears(g).size(); ++i) {
      if (!set_scheme(g, i, device, schemes[i], segment)) {
        set_any(g, i, device, segment);
      }
    }
  }

  // Segment and linear, least margin first.
  std::vector<std::pair<uint32_t, uint32_t>> low_margins() const {
    std::map<std::string, double> margins;
    for (const PlannedLayer& layer : chosen_.file.layers) {
      if (layer.margin_ns) margins[layer.name] = *layer.margin_ns;
    }
    std::vector<std::pair<uint32_t, uint32_t>> list;
    for (uint32_t g = 0; g < problem_.segments.size(); ++g) {
      for (uint32_t i = 0; i < linears(g).size(); ++i) {
        if (margins.contains(linears(g)[i].name)) list.emplace_back(g, i);
      }
    }
    std::stable_sort(list.begin(), list.end(), [&](auto a, auto b) {
      return margins.at(linears(a.first)[a.second].name) <
             margins.at(linears(b.first)[b.second].name);
    });
    return list;
  }

  static std::string text_of(const Assignment& assignment) {
    std::string text;
    const auto add_pair = [&](const std::array<uint32_t, 2>& pair) {
      text += std::to_string(pair[0]) + "," + std::to_string(pair[1]) + ";";
    };
    for (const Assignment::Segment& segment : assignment.segments) {
      add_pair(segment.devices);
      for (const auto& linear : segment.linears) add_pair(linear.cells);
    }
    return text;
  }

  const Problem& problem_;
  const BuiltChain& built_;
  const MadePlan& chosen_;
  std::mt19937 rng_{42};
  std::set<std::string> known_;
  std::vector<Rival> rivals_;
};

}  // namespace

Result<std::vector<Rival>> find_rivals(const Problem& problem,
                                       const MadePlan& chosen,
                                       const RivalCounts& counts,
                                       const SolveLimits& limits) {
  TSR_ASSIGN_OR_RETURN(const BuiltChain built, build_chain(problem));
  TSR_ASSIGN_OR_RETURN(const std::vector<Baseline> baselines,
                       find_baselines(problem, limits));
  RivalFinder finder(problem, built, chosen);
  for (const Baseline& baseline : baselines) {
    if (!baseline.feasible) continue;
    finder.add("baseline", baseline.name + " " + baseline.detail,
               baseline.assignment);
  }
  finder.add_uniform();
  finder.add_random(counts.random);
  finder.add_moves(counts.moves);
  return finder.take();
}

}  // namespace tessera::planner
