// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/running/budget.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <utility>

namespace tessera::conformance {
namespace {

// "L1" of "L1/linear_u4/...".
std::string level_of(const std::string& id) {
  return id.substr(0, id.find('/'));
}

// "L1/linear_u4" of "L1/linear_u4/...".
std::string group_of(const std::string& id) {
  const size_t second = id.find('/') + 1;
  return id.substr(0, id.find('/', second));
}

}  // namespace

RunOrder order_by_need(const std::vector<ListedCase>& cases, uint32_t seed) {
  RunOrder order;
  std::set<std::pair<std::string, std::string>> seen;
  std::map<std::string, std::vector<size_t>> groups;
  for (size_t i = 0; i < cases.size(); ++i) {
    const std::string level = level_of(cases[i].id);
    const bool is_first = seen.emplace(level, cases[i].kind).second;
    if (level == "L0" || is_first) {
      order.indexes.push_back(i);
    } else {
      groups[group_of(cases[i].id)].push_back(i);
    }
  }
  order.num_essential = order.indexes.size();
  std::mt19937 rng(seed);
  size_t longest = 0;
  for (auto& [name, members] : groups) {
    std::shuffle(members.begin(), members.end(), rng);
    longest = std::max(longest, members.size());
  }
  for (size_t turn = 0; turn < longest; ++turn) {
    for (const auto& [name, members] : groups) {
      if (turn < members.size()) order.indexes.push_back(members[turn]);
    }
  }
  return order;
}

}  // namespace tessera::conformance
