// SPDX-License-Identifier: Apache-2.0
//
// The planner's problem as the solver sees it: a chain of segments, each of
// which is put somewhere and has items to choose options for, under limits that
// all choices share.  Nothing here knows what a device or a precision is.

#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace tessera::planner {

inline constexpr uint32_t kNone = UINT32_MAX;
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Prefill and decode: what is chosen once for each.
inline constexpr uint32_t kNumPhases = 2;

// How a row enters the problem.
enum class RowKind {
  kLimit,  // sums + largest peak <= capacity
  kLoad,   // the largest sum of these rows is added to the objective
};

struct Row {
  std::string name;
  RowKind kind = RowKind::kLimit;
  double capacity = kInfinity;
};

struct Use {
  uint32_t row = 0;
  double amount = 0.0;  // at least 0
};

// Uses begin .. begin + count - 1 of a chain.
struct UseRange {
  uint32_t begin = 0;
  uint32_t count = 0;
};

// What is charged for one choice.
struct Charge {
  double cost = 0.0;
  UseRange sums;   // added up over all choices
  UseRange peaks;  // only the largest of a row counts
};

// One way to run an item in one phase while its segment is at `site`.
struct Option {
  uint32_t site = 0;
  uint32_t resident = kNone;  // of the item; what has to be held for it
  Charge charge;
};

// Options are contiguous per phase; residents are charged once however many
// phases use them.
struct Item {
  std::array<uint32_t, kNumPhases> option_begin{};
  std::array<uint32_t, kNumPhases> option_end{};
  uint32_t resident_begin = 0;
  uint32_t resident_end = 0;
  bool one_resident = false;  // both phases must use the same
};

struct Segment {
  uint32_t item_begin = 0;
  uint32_t item_end = 0;
  bool tied = false;      // at one site in both phases
  uint32_t edge = kNone;  // what leads to the next segment; kNone: the end
};

// What it takes to go from one segment's site to the next one's.
struct Edge {
  // [phase][from * num_sites + to]
  std::array<std::vector<Charge>, kNumPhases> charges;
};

// Minimize the sum of all costs plus the largest load.
struct Chain {
  uint32_t num_sites = 0;
  std::vector<Row> rows;
  std::vector<Use> uses;
  std::vector<Option> options;
  std::vector<Charge> residents;
  std::vector<Item> items;
  std::vector<Segment> segments;
  std::vector<Edge> edges;
  // From the last segment's site back to the first one's, as in an edge; empty:
  // free.
  std::array<std::vector<Charge>, kNumPhases> returns;

  UseRange add_uses(const std::vector<Use>& list);
};

// By phase and segment.
using Sites = std::array<std::vector<uint32_t>, kNumPhases>;

// One option for every item and one site for every segment, in each phase.
struct Choice {
  Sites sites;
  std::array<std::vector<uint32_t>, kNumPhases> options;  // by item
};

struct Totals {
  double cost = 0.0;
  std::vector<double> sums;   // by row
  std::vector<double> peaks;  // by row
};

void add_charge(const Chain& chain, const Charge& charge, Totals& totals);

// Takes back cost and sums; peaks stay, so what is left of a limit may look
// smaller than it is, never larger.
void remove_charge(const Chain& chain, const Charge& charge, Totals& totals);

// The same for what `item` is charged with these options: both, and what has to
// be held for them, once.
void charge_item(const Chain& chain, uint32_t item, uint32_t prefill,
                 uint32_t decode, Totals& totals);
void uncharge_item(const Chain& chain, uint32_t item, uint32_t prefill,
                   uint32_t decode, Totals& totals);

// What a choice adds up to.
//
// Requires  every option's site is that of its segment
Totals add_up(const Chain& chain, const Choice& choice);

// True if `a` costs no more than `b` and uses no more of any row.
bool no_worse(const Totals& a, const Totals& b);

// Costs and sums, where a unit of a row costs prices[row].
double priced(const Totals& totals, std::span<const double> prices);

double objective_of(const Chain& chain, const Totals& totals);

// How far a row's total is above its capacity; 0 if it holds.  Sums of decimal
// fractions may miss a capacity that they equal by 1e-12 of it.
double excess_of(const Row& row, double total);

bool is_feasible(const Chain& chain, const Totals& totals);

}  // namespace tessera::planner
