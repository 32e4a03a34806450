// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/running/budget.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <string>

namespace tessera::conformance {
namespace {

// Two kernels of one op, one of another, and two kinds of robustness.
CaseList sample() {
  CaseList cases;
  const auto add = [&](const std::string& id, const std::string& kind) {
    Case one;
    one.id = id;
    one.kind = kind;
    cases.push_back(std::move(one));
  };
  for (const char* id :
       {"header", "records/older/add", "records/older/linear"}) {
    add(std::string("L0/") + id, "");
  }
  for (const char* row : {"linear_f32", "linear_i8", "add"}) {
    const std::string kind = row[0] == 'a' ? "add" : "linear";
    for (int i = 0; i < 5; ++i) {
      add(std::string("L1/") + row + "/" + std::to_string(i), kind);
    }
  }
  for (const char* id : {"L2/queue/a", "L2/queue/b", "L2/fuzz/a"}) {
    add(id, "");
  }
  return cases;
}

std::vector<std::string> ids(const CaseList& cases, const RunOrder& order,
                             size_t begin, size_t end) {
  std::vector<std::string> names;
  for (size_t i = begin; i < end; ++i) {
    names.push_back(cases[order.indexes[i]].id);
  }
  return names;
}

TEST(Budget, RunsEachCaseOnce) {
  RunOrder order = order_by_need(sample(), 42);
  std::sort(order.indexes.begin(), order.indexes.end());
  std::vector<size_t> all(sample().size());
  std::iota(all.begin(), all.end(), size_t{0});
  EXPECT_EQ(order.indexes, all);
}

TEST(Budget, AlwaysRunsOneCaseOfEachLevel) {
  const auto cases = sample();
  const RunOrder order = order_by_need(cases, 42);
  const std::vector<std::string> expected = {"L0/header", "L1/linear_f32/0",
                                             "L2/queue/a"};
  EXPECT_EQ(ids(cases, order, 0, order.num_essential), expected);
}

TEST(Budget, TakesTheContractAndOneCaseOfEachKindNext) {
  const auto cases = sample();
  const RunOrder order = order_by_need(cases, 42);
  const std::vector<std::string> expected = {"L0/records/older/add",
                                             "L0/records/older/linear",
                                             "L1/add/0", "L2/fuzz/a"};
  EXPECT_EQ(ids(cases, order, order.num_essential, order.num_essential + 4),
            expected);
}

TEST(Budget, GivesEveryKernelItsTurn) {
  const auto cases = sample();
  const RunOrder order = order_by_need(cases, 42);
  std::set<std::string> groups;
  for (const std::string& id :
       ids(cases, order, order.num_essential + 4, order.num_essential + 8)) {
    groups.insert(id.substr(0, id.rfind('/')));
  }
  EXPECT_EQ(groups, (std::set<std::string>{"L1/add", "L1/linear_f32",
                                           "L1/linear_i8", "L2/queue"}));
}

TEST(Budget, AnotherSeedTriesOthersFirst) {
  const auto cases = sample();
  const RunOrder order = order_by_need(cases, 42);
  EXPECT_EQ(order_by_need(cases, 42).indexes, order.indexes);
  std::set<std::vector<size_t>> orders;
  for (uint32_t seed = 0; seed < 8; ++seed) {
    orders.insert(order_by_need(cases, seed).indexes);
  }
  EXPECT_GT(orders.size(), 1U);
}

}  // namespace
}  // namespace tessera::conformance
