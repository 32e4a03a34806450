// SPDX-License-Identifier: Apache-2.0
//
// Keeps what was measured on this machine, so that it is measured once.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/database/database.hpp"
#include "framework/planner/problem/problem.hpp"
#include "framework/tuning/plan/time_spread.hpp"

namespace tessera {

// What measured times depend on; another plugin, driver, model shape or
// workload is another key.
struct CostKey {
  std::string device;    // device_fingerprint(), which has the plugin's hash
  uint32_t threads = 0;  // as the user asked; 0: the host's choice
  std::string segment;   // its signature
  std::string scheme;    // of its linears
  std::string base;      // of all else
  std::string workload;  // tokens, sequences and context of both phases

  bool operator==(const CostKey&) const = default;
};

// One linear of a segment, or all else in it.
struct MeasuredPart {
  std::string name;  // without its layer; "" for all but the linears
  std::string kernel;
  std::array<planner::Cost, 2> costs;  // by phase
};

struct MeasuredSegment {
  std::vector<MeasuredPart> parts;
  std::array<TimeSpread, 2> spread;  // by phase
};

inline bool is_busy(const MeasuredSegment& measured) {
  return is_busy(measured.spread[0]) || is_busy(measured.spread[1]);
}

// A file in SQLite's format; several processes may use it at once, one thread
// each.
class CostStore {
 public:
  // Made, with its folders, if it is not there.
  // Errors  those of Database::open()
  static Result<CostStore> open(const std::string& path);

  // Nothing if it was not measured yet.
  Result<std::optional<MeasuredSegment>> find(const CostKey& key);
  // Replaces what there was of that key, whole or not at all.
  Status put(const CostKey& key, const MeasuredSegment& segment);

 private:
  explicit CostStore(Database database) : database_(std::move(database)) {}
  Status put_parts(const MeasuredSegment& segment, int64_t probe);

  Database database_;
};

}  // namespace tessera
