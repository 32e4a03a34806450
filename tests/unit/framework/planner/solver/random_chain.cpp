// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/framework/planner/solver/random_chain.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace tessera::planner {
namespace {

double draw(std::mt19937& rng, double low, double high) {
  return std::uniform_real_distribution<double>(low, high)(rng);
}

bool happens(std::mt19937& rng, double share) {
  return draw(rng, 0.0, 1.0) < share;
}

// Rows: memory by site, then the error of prefill and of decode, then loads.
class ChainMaker {
 public:
  ChainMaker(const ChainShape& shape, std::mt19937& rng)
      : shape_(shape), rng_(rng) {}

  Chain make() {
    chain_.num_sites = shape_.num_sites;
    for (uint32_t s = 0; s < shape_.num_sites; ++s) {
      chain_.rows.push_back({"memory " + std::to_string(s)});
    }
    chain_.rows.push_back({"error of prefill"});
    chain_.rows.push_back({"error of decode"});
    if (shape_.loads) {
      for (uint32_t s = 0; s < shape_.num_sites; ++s) {
        chain_.rows.push_back({"load " + std::to_string(s), RowKind::kLoad});
      }
    }
    for (uint32_t g = 0; g < shape_.num_segments; ++g) {
      add_segment(g + 1 == shape_.num_segments);
    }
    return std::move(chain_);
  }

 private:
  Charge timed(uint32_t site, double cost, std::vector<Use> sums) {
    Charge charge;
    if (shape_.loads) {
      sums.push_back({shape_.num_sites + 2 + site, cost});
    } else {
      charge.cost = cost;
    }
    charge.sums = chain_.add_uses(sums);
    if (shape_.peaks && happens(rng_, 0.5)) {
      charge.peaks = chain_.add_uses({{site, draw(rng_, 0.0, 3.0)}});
    }
    return charge;
  }

  void add_item() {
    Item item;
    item.one_resident = happens(rng_, shape_.one_resident_share);
    item.resident_begin = static_cast<uint32_t>(chain_.residents.size());
    std::vector<double> errors(shape_.num_schemes);
    for (double& error : errors) error = draw(rng_, 0.0, 1.0);
    for (uint32_t s = 0; s < shape_.num_sites; ++s) {
      for (uint32_t scheme = 0; scheme < shape_.num_schemes; ++scheme) {
        Charge held;
        held.sums = chain_.add_uses({{s, draw(rng_, 1.0, 4.0)}});
        chain_.residents.push_back(held);
      }
    }
    item.resident_end = static_cast<uint32_t>(chain_.residents.size());
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      item.option_begin[phase] = static_cast<uint32_t>(chain_.options.size());
      for (uint32_t s = 0; s < shape_.num_sites; ++s) {
        for (uint32_t scheme = 0; scheme < shape_.num_schemes; ++scheme) {
          if (s > 0 && happens(rng_, 0.1)) continue;  // lacks a kernel
          const double cost =
              draw(rng_, 0.5, 2.0) + 6.0 * (1.0 - errors[scheme]);
          chain_.options.push_back(
              {s, s * shape_.num_schemes + scheme,
               timed(s, cost, {{shape_.num_sites + phase, errors[scheme]}})});
        }
      }
      item.option_end[phase] = static_cast<uint32_t>(chain_.options.size());
    }
    chain_.items.push_back(item);
  }

  void add_segment(bool is_last) {
    Segment segment;
    segment.tied = happens(rng_, shape_.tied_share);
    segment.item_begin = static_cast<uint32_t>(chain_.items.size());
    const uint32_t num_items =
        std::uniform_int_distribution<uint32_t>(1, shape_.max_items)(rng_);
    for (uint32_t i = 0; i < num_items; ++i) add_item();
    segment.item_end = static_cast<uint32_t>(chain_.items.size());
    if (!is_last) {
      segment.edge = static_cast<uint32_t>(chain_.edges.size());
      Edge edge;
      // Some transfers cost more than the work on both sides.
      const double dear = happens(rng_, 0.3) ? 12.0 : 2.0;
      for (auto& charges : edge.charges) {
        for (uint32_t from = 0; from < shape_.num_sites; ++from) {
          for (uint32_t to = 0; to < shape_.num_sites; ++to) {
            charges.push_back(
                timed(to, from == to ? 0.0 : draw(rng_, 0.0, dear), {}));
          }
        }
      }
      chain_.edges.push_back(std::move(edge));
    }
    chain_.segments.push_back(segment);
  }

  const ChainShape& shape_;
  std::mt19937& rng_;
  Chain chain_;
};

// Walks through all choices, segment by segment.
class Walk {
 public:
  explicit Walk(const Chain& chain) : chain_(chain) {
    for (auto& sites : sites_) sites.resize(chain.segments.size());
    sums_.assign(chain.rows.size(), 0.0);
    peaks_.assign(chain.rows.size(), 0.0);
  }

  Exhausted run() {
    enter(0);
    result_.active.resize(chain_.rows.size());
    for (size_t r = 0; r < chain_.rows.size(); ++r) {
      result_.active[r] = free_use_[r] > chain_.rows[r].capacity;
    }
    return result_;
  }
  const std::vector<double>& free_use() const { return free_use_; }

 private:
  struct Saved {
    double cost;
    std::vector<double> sums;
    std::vector<double> peaks;
  };
  Saved save() const { return {cost_, sums_, peaks_}; }
  void restore(const Saved& saved) {
    cost_ = saved.cost;
    sums_ = saved.sums;
    peaks_ = saved.peaks;
  }

  void charge(const Charge& charge) {
    cost_ += charge.cost;
    for (uint32_t u = charge.sums.begin;
         u < charge.sums.begin + charge.sums.count; ++u) {
      sums_[chain_.uses[u].row] += chain_.uses[u].amount;
    }
    for (uint32_t u = charge.peaks.begin;
         u < charge.peaks.begin + charge.peaks.count; ++u) {
      double& peak = peaks_[chain_.uses[u].row];
      peak = std::max(peak, chain_.uses[u].amount);
    }
  }

  void enter(uint32_t g) {
    if (g == chain_.segments.size()) {
      judge();
      return;
    }
    for (uint32_t p = 0; p < chain_.num_sites; ++p) {
      for (uint32_t d = 0; d < chain_.num_sites; ++d) {
        if (chain_.segments[g].tied && p != d) continue;
        const Saved saved = save();
        sites_[0][g] = p;
        sites_[1][g] = d;
        if (g > 0) {
          const Edge& edge = chain_.edges[chain_.segments[g - 1].edge];
          charge(edge.charges[0][sites_[0][g - 1] * chain_.num_sites + p]);
          charge(edge.charges[1][sites_[1][g - 1] * chain_.num_sites + d]);
        }
        choose(g, chain_.segments[g].item_begin);
        restore(saved);
      }
    }
  }

  void choose(uint32_t g, uint32_t i) {
    if (i == chain_.segments[g].item_end) {
      enter(g + 1);
      return;
    }
    const Item& item = chain_.items[i];
    for (uint32_t a = item.option_begin[0]; a < item.option_end[0]; ++a) {
      const Option& prefill = chain_.options[a];
      if (prefill.site != sites_[0][g]) continue;
      for (uint32_t b = item.option_begin[1]; b < item.option_end[1]; ++b) {
        const Option& decode = chain_.options[b];
        if (decode.site != sites_[1][g]) continue;
        if (item.one_resident && prefill.resident != decode.resident) continue;
        const Saved saved = save();
        charge(prefill.charge);
        charge(decode.charge);
        charge(chain_.residents[item.resident_begin + prefill.resident]);
        if (decode.resident != prefill.resident) {
          charge(chain_.residents[item.resident_begin + decode.resident]);
        }
        choose(g, i + 1);
        restore(saved);
      }
    }
  }

  void judge() {
    ++result_.num_choices;
    double objective = cost_;
    double load = 0.0;
    bool holds = true;
    for (size_t r = 0; r < chain_.rows.size(); ++r) {
      if (chain_.rows[r].kind == RowKind::kLoad) {
        load = std::max(load, sums_[r]);
      } else if (sums_[r] + peaks_[r] > chain_.rows[r].capacity) {
        holds = false;
      }
    }
    objective += load;
    if (objective < free_objective_) {
      free_objective_ = objective;
      free_use_ = sums_;
      for (size_t r = 0; r < peaks_.size(); ++r) free_use_[r] += peaks_[r];
    }
    if (holds) result_.objective = std::min(result_.objective, objective);
  }

  const Chain& chain_;
  std::array<std::vector<uint32_t>, kNumPhases> sites_;
  double cost_ = 0.0;
  std::vector<double> sums_;
  std::vector<double> peaks_;
  Exhausted result_;
  double free_objective_ = kInfinity;
  std::vector<double> free_use_;
};

}  // namespace

Chain random_chain(const ChainShape& shape, std::mt19937& rng) {
  Chain chain = ChainMaker(shape, rng).make();
  Walk walk(chain);
  walk.run();
  for (size_t r = 0; r < chain.rows.size(); ++r) {
    Row& row = chain.rows[r];
    if (row.kind != RowKind::kLimit || walk.free_use().empty()) continue;
    const double use = std::max(walk.free_use()[r], 1.0);
    row.capacity = use * draw(rng, shape.tightest, shape.loosest);
    // A site that the cheapest choice leaves empty has room for something.
    if (walk.free_use()[r] == 0.0) row.capacity = draw(rng, 2.0, 20.0);
  }
  return chain;
}

Exhausted try_all(const Chain& chain) { return Walk(chain).run(); }

}  // namespace tessera::planner
