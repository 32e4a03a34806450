// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/running/budget.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
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

std::string kind_of(const Case& one) {
  if (!one.kind.empty()) return one.kind;
  const size_t second = one.id.find('/') + 1;
  return one.id.substr(second, one.id.find('/', second) - second);
}

}  // namespace

RunOrder order_by_need(const CaseList& cases, uint32_t seed) {
  RunOrder order;
  std::set<std::string> levels;
  std::set<std::pair<std::string, std::string>> kinds;
  std::vector<size_t> firsts;
  std::map<std::string, std::vector<size_t>> groups;
  for (size_t i = 0; i < cases.size(); ++i) {
    const std::string level = level_of(cases[i].id);
    const bool is_first = kinds.emplace(level, kind_of(cases[i])).second;
    if (levels.insert(level).second) {
      order.indexes.push_back(i);
    } else if (level == "L0" || is_first) {
      firsts.push_back(i);
    } else {
      groups[group_of(cases[i].id)].push_back(i);
    }
  }
  order.num_essential = order.indexes.size();
  order.indexes.insert(order.indexes.end(), firsts.begin(), firsts.end());
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
