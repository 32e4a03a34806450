// SPDX-License-Identifier: Apache-2.0
//
// Linears divided over two devices, offered and taken where that pays.

#include "framework/planner/problem/divide_cells.hpp"

#include <gtest/gtest.h>

#include "framework/planner/planner.hpp"
#include "tests/unit/framework/planner/small_problem.hpp"

namespace tessera::planner {
namespace {

// Two devices of one kind with 256 rows to compute; 1000 ns a linear's decode.
Problem two_alike(double transfer_ns) {
  Problem problem = small_problem();
  problem.devices[1].simulated = false;
  problem.pools[1].bytes = problem.pools[0].bytes;
  LinearClass& entry = problem.linear_classes[0];
  entry.N = 256;
  for (Cell& cell : entry.cells) {
    cell.parts[0].n_end = 256;
    cell.costs = entry.cells[cell.scheme].costs;
  }
  for (TransferCurve& curve : problem.transfers) {
    curve.points = {{0, transfer_ns}};
  }
  return problem;
}

TEST(DivideCells, AreCutWhereBothEndTogether) {
  Problem problem = two_alike(1.0);
  offer_divided_cells(problem);
  ASSERT_EQ(problem.linear_classes[0].cells.size(), 8u);
  for (const Cell& cell : problem.linear_classes[0].cells) {
    if (cell.parts.size() == 1) continue;
    EXPECT_EQ(cell.parts[0].n_begin, 0u);
    EXPECT_EQ(cell.parts[0].n_end, 128u);
    EXPECT_EQ(cell.parts[1].n_begin, 128u);
    EXPECT_EQ(cell.parts[1].n_end, 256u);
    EXPECT_EQ(cell.parts[0].device, cell.host);
    EXPECT_NE(cell.parts[1].device, cell.host);
  }
  ASSERT_TRUE(check(problem).ok());
}

TEST(DivideCells, AreTakenWhereTheyPay) {
  Problem problem = two_alike(1.0);
  const auto whole = make_plan(problem, {});
  offer_divided_cells(problem);
  const auto made = make_plan(problem, {});
  ASSERT_TRUE(whole.ok() && made.ok()) << made.status().message();
  EXPECT_LT(made->file.objective_value, 0.6 * whole->file.objective_value);
  uint32_t divided = 0;
  for (const PlannedLayer& layer : made->file.layers) {
    if (layer.op == "linear") divided += layer.phases[0].size() == 2 ? 1 : 0;
  }
  EXPECT_EQ(divided, 4u);
}

// One device less leaves nobody to share with.
TEST(DivideCells, LeaveContingenciesWhole) {
  Problem problem = two_alike(1.0);
  offer_divided_cells(problem);
  const auto made = make_plan(problem, {});
  ASSERT_TRUE(made.ok());
  for (const Contingency& contingency : made->file.contingencies) {
    EXPECT_EQ(contingency.failure, "");
    EXPECT_GT(contingency.objective, made->file.objective_value);
  }
}

TEST(DivideCells, AreNotOfferedWhereTravelCostsMore) {
  Problem problem = two_alike(1e6);
  offer_divided_cells(problem);
  EXPECT_EQ(problem.linear_classes[0].cells.size(), 4u);
}

TEST(DivideCells, NeverSpanClocksOrSharedCores) {
  Problem clocks = two_alike(1.0);
  clocks.devices[1].simulated = true;
  offer_divided_cells(clocks);
  EXPECT_EQ(clocks.linear_classes[0].cells.size(), 4u);
  Problem cores = two_alike(1.0);
  cores.devices[1].compute = cores.devices[0].compute;
  offer_divided_cells(cores);
  EXPECT_EQ(cores.linear_classes[0].cells.size(), 4u);
}

TEST(DivideCells, AreOfferedOnce) {
  Problem problem = two_alike(1.0);
  offer_divided_cells(problem);
  offer_divided_cells(problem);
  EXPECT_EQ(problem.linear_classes[0].cells.size(), 8u);
}

}  // namespace
}  // namespace tessera::planner
