// SPDX-License-Identifier: Apache-2.0
//
// Where a cost comes from, as problem files say it.

#pragma once

#include "framework/planner/problem/problem.hpp"

namespace tessera {

inline constexpr const char* kMeasuredSource = "measured";  // just now
inline constexpr const char* kKeptSource = "kept";          // measured earlier
// Kept, but its device has changed since: scaled by as much.
inline constexpr const char* kStaleSource = "stale";
inline constexpr const char* kEstimateSource = "estimate";

inline bool is_measured(const planner::Cost& cost) {
  return cost.source == kMeasuredSource;
}
inline bool is_kept(const planner::Cost& cost) {
  return cost.source == kKeptSource;
}
inline bool is_stale(const planner::Cost& cost) {
  return cost.source == kStaleSource;
}
inline bool is_estimate(const planner::Cost& cost) {
  return cost.source == kEstimateSource;
}
// A plan that uses it had better time it.
inline bool is_untimed(const planner::Cost& cost) {
  return is_stale(cost) || is_estimate(cost);
}

}  // namespace tessera
