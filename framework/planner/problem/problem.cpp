// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/problem/problem.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <cmath>

namespace tessera::planner {
namespace {

struct ObjectiveName {
  Objective objective;
  const char* name;
};
constexpr ObjectiveName kObjectives[] = {
    {Objective::kLatency, "latency"},
    {Objective::kThroughput, "throughput"},
    {Objective::kEnergy, "energy"},
    {Objective::kMemory, "memory"},
};

// Sums of so many stay exact in a double.
constexpr uint64_t kMaxBytes = uint64_t{1} << 52;

bool is_amount(double value) { return std::isfinite(value) && value >= 0.0; }

Status wrong(const std::string& where, const std::string& what) {
  return {TSR_INVALID_ARGUMENT, where + ": " + what};
}

Status check_costs(const std::string& where,
                   const std::array<std::optional<Cost>, 2>& costs) {
  for (const auto& cost : costs) {
    if (!cost) continue;
    if (!is_amount(cost->ns) || !is_amount(cost->energy_nj) ||
        cost->workspace_bytes > kMaxBytes) {
      return wrong(where, "costs must be finite and at least 0");
    }
  }
  return {};
}

Status check_devices(const Problem& problem) {
  if (problem.devices.empty()) return wrong("devices", "there are none");
  for (const MemoryPool& pool : problem.pools) {
    if (pool.bytes > kMaxBytes) {
      return wrong("pool " + pool.name, "more than 2^52 bytes");
    }
  }
  for (const DeviceModel& device : problem.devices) {
    if (device.pool >= problem.pools.size()) {
      return wrong(
          "device " + device.name,
          fmt::format("pool {} of {}", device.pool, problem.pools.size()));
    }
    if (device.stage_bytes > kMaxBytes) {
      return wrong("device " + device.name, "more than 2^52 bytes");
    }
  }
  for (const TransferCurve& curve : problem.transfers) {
    if (std::max(curve.from, curve.to) >= problem.devices.size() ||
        curve.points.empty() || !is_amount(curve.return_ns[kPrefill]) ||
        !is_amount(curve.return_ns[kDecode])) {
      return wrong("transfer",
                   "needs two devices, at least one point and times of at "
                   "least 0");
    }
    if (!is_amount(curve.overlap) || curve.overlap > 1.0) {
      return wrong(
          "transfer " + problem.devices[curve.from].name + " to " +
              problem.devices[curve.to].name,
          fmt::format("overlap {} is not within 0 and 1", curve.overlap));
    }
    for (size_t i = 0; i < curve.points.size(); ++i) {
      const bool rises =
          i == 0 || curve.points[i].bytes > curve.points[i - 1].bytes;
      if (!is_amount(curve.points[i].ns) || !rises) {
        return wrong("transfer " + problem.devices[curve.from].name + " to " +
                         problem.devices[curve.to].name,
                     "points need rising bytes and times of at least 0");
      }
    }
  }
  return {};
}

Status check_cell(const Problem& problem, const std::string& where,
                  const Cell& cell) {
  if (cell.host >= problem.devices.size() ||
      cell.scheme >= problem.schemes.size() || cell.parts.empty() ||
      cell.load_bytes > kMaxBytes) {
    return wrong(where, "a cell needs a device, a scheme and at least a part");
  }
  for (const Part& part : cell.parts) {
    if (part.device >= problem.devices.size() ||
        part.weight_bytes > kMaxBytes || !is_amount(part.ns[0]) ||
        !is_amount(part.ns[1])) {
      return wrong(where, "a part needs a device and sane sizes");
    }
  }
  return check_costs(where, cell.costs);
}

Status check_classes(const Problem& problem) {
  for (const LinearClass& entry : problem.linear_classes) {
    for (const Cell& cell : entry.cells) {
      TSR_RETURN_IF_ERROR(check_cell(problem, entry.name, cell));
    }
  }
  for (const SegmentClass& entry : problem.segment_classes) {
    for (const Site& site : entry.sites) {
      if (site.device >= problem.devices.size() ||
          site.resident_bytes > kMaxBytes) {
        return wrong(entry.name, "a site needs a device and sane sizes");
      }
      TSR_RETURN_IF_ERROR(check_costs(entry.name, site.costs));
    }
  }
  return {};
}

Status check_segments(const Problem& problem) {
  if (problem.segments.empty()) return wrong("segments", "there are none");
  for (const SegmentModel& segment : problem.segments) {
    if (segment.segment_class >= problem.segment_classes.size()) {
      return wrong(segment.name, "no such segment class");
    }
    for (const Linear& linear : segment.linears) {
      if (linear.linear_class >= problem.linear_classes.size()) {
        return wrong(linear.name, "no such linear class");
      }
      if (linear.kl.size() != problem.schemes.size() ||
          !std::all_of(linear.kl.begin(), linear.kl.end(), is_amount)) {
        return wrong(linear.name,
                     fmt::format("needs a KL of at least 0 for each of the {} "
                                 "schemes",
                                 problem.schemes.size()));
      }
    }
  }
  return {};
}

bool matches(const Rule& rule, const std::string& name) {
  return fnmatch(rule.match.c_str(), name.c_str(), 0) == 0;
}

}  // namespace

std::string objective_name(Objective objective) {
  for (const ObjectiveName& entry : kObjectives) {
    if (entry.objective == objective) return entry.name;
  }
  return "";
}

Result<Objective> find_objective(const std::string& name) {
  for (const ObjectiveName& entry : kObjectives) {
    if (name == entry.name) return entry.objective;
  }
  return Status(
      TSR_INVALID_ARGUMENT,
      "objective " + name + ": not one of latency throughput energy memory");
}

double TransferCurve::ns(uint64_t bytes) const {
  if (points.size() == 1 || bytes <= points.front().bytes) {
    return points.front().ns;
  }
  size_t i = 1;
  while (i + 1 < points.size() && points[i].bytes < bytes) ++i;
  const Point& a = points[i - 1];
  const Point& b = points[i];
  const double slope = (b.ns - a.ns) / static_cast<double>(b.bytes - a.bytes);
  return std::max(0.0, a.ns + slope * static_cast<double>(bytes - a.bytes));
}

uint32_t Problem::device_index(const std::string& name) const {
  for (uint32_t i = 0; i < devices.size(); ++i) {
    if (devices[i].name == name) return i;
  }
  return UINT32_MAX;
}

uint32_t Problem::scheme_index(const std::string& name) const {
  for (uint32_t i = 0; i < schemes.size(); ++i) {
    if (schemes[i] == name) return i;
  }
  return UINT32_MAX;
}

bool rules_allow(const Problem& problem, const std::string& name,
                 const std::string& device, const std::string& scheme) {
  for (const Rule& rule : problem.rules) {
    if (!matches(rule, name)) continue;
    const bool same_device = rule.device.empty() || rule.device == device;
    const bool names_scheme = !rule.scheme.empty() && !scheme.empty();
    const bool same_scheme = !names_scheme || rule.scheme == scheme;
    // A segment has no scheme, so a ban on one does not concern it.
    if (rule.forbids && !rule.scheme.empty() && scheme.empty()) continue;
    if (rule.forbids == (same_device && same_scheme)) return false;
  }
  return true;
}

std::vector<uint64_t> bytes_of_runs(const Problem& problem) {
  std::vector<uint64_t> largest(problem.devices.size(), 0);
  const auto reach = [&largest](uint32_t device, const auto& costs) {
    for (const std::optional<Cost>& cost : costs) {
      if (!cost) continue;
      largest[device] = std::max(largest[device], cost->workspace_bytes);
    }
  };
  for (const LinearClass& entry : problem.linear_classes) {
    for (const Cell& cell : entry.cells) {
      for (const Part& part : cell.parts) reach(part.device, cell.costs);
    }
  }
  for (const SegmentClass& entry : problem.segment_classes) {
    for (const Site& site : entry.sites) reach(site.device, site.costs);
  }
  for (size_t d = 0; d < largest.size(); ++d) {
    largest[d] += problem.devices[d].stage_bytes;
  }
  return largest;
}

Status check(const Problem& problem) {
  TSR_RETURN_IF_ERROR(check_devices(problem));
  TSR_RETURN_IF_ERROR(check_classes(problem));
  TSR_RETURN_IF_ERROR(check_segments(problem));
  for (const std::optional<double>& limit :
       {problem.limits.kl, problem.limits.prefill_ns,
        problem.limits.decode_ns}) {
    if (limit && !is_amount(*limit)) {
      return wrong("limits", "must be finite and at least 0");
    }
  }
  for (const Rule& rule : problem.rules) {
    if (!rule.device.empty() &&
        problem.device_index(rule.device) == UINT32_MAX) {
      return wrong("rule for " + rule.match, "no device " + rule.device);
    }
    if (!rule.scheme.empty() &&
        problem.scheme_index(rule.scheme) == UINT32_MAX) {
      return wrong("rule for " + rule.match, "no scheme " + rule.scheme);
    }
  }
  return {};
}

}  // namespace tessera::planner
