// SPDX-License-Identifier: Apache-2.0
//
// What the planner is asked, as plain values: a model in segments, devices with
// their costs, limits and an objective.  No device need be present.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera::planner {

inline constexpr uint32_t kPrefill = 0;
inline constexpr uint32_t kDecode = 1;

enum class Objective { kLatency, kThroughput, kEnergy, kMemory };

std::string objective_name(Objective objective);
// Errors: INVALID_ARGUMENT, naming those there are.
Result<Objective> find_objective(const std::string& name);

// One request is a prompt and the tokens after it; `batch` run at once.
struct Workload {
  uint32_t prompt = 512;
  uint32_t generate = 128;  // decode steps
  uint32_t batch = 1;
};

// Memory that one or more devices share.
struct MemoryPool {
  std::string name;
  uint64_t bytes = 0;
};

struct DeviceModel {
  std::string name;  // "npu_sim:310p"
  bool simulated = false;
  uint32_t pool = 0;
  uint32_t compute = 0;      // equal where cores are shared
  uint64_t stage_bytes = 0;  // buffers of each run of segments, workspace apart
  std::string fingerprint;   // of device, driver and plugin
};

// What it takes to bring bytes from one device to another, conversion included:
// straight lines between points, and on beyond the last two.
struct TransferCurve {
  struct Point {
    uint64_t bytes = 0;
    double ns = 0.0;
  };
  uint32_t from = 0;
  uint32_t to = 0;
  std::vector<Point> points;  // by rising bytes; at least one
  // What `to` takes more to begin a step with where the step before ended on
  // `from`, in all steps of a phase.
  std::array<double, 2> return_ns{};
  // The part of the copying, 0 to 1, through which `to` goes on computing other
  // batches: what it counts for less in throughput.  A step by itself waits.
  double overlap = 0.0;

  double ns(uint64_t bytes) const;
};

// One run of an op or a linear.
struct Cost {
  double ns = 0.0;
  double energy_nj = 0.0;
  uint64_t workspace_bytes = 0;
  std::string source;  // "measured", "estimate", "roofline"
};

// Rows n_begin .. n_end - 1 of a linear on a device.
struct Part {
  uint32_t device = 0;
  uint32_t n_begin = 0;
  uint32_t n_end = 0;
  uint64_t weight_bytes = 0;
  // Busy time, for throughput; the cell's own if there is one part.
  std::array<double, 2> ns{};
};

// One way to run the linears of a class while their segment is on `host`.
struct Cell {
  uint32_t host = 0;
  uint32_t scheme = 0;
  std::string kernel;
  std::string layout;                        // of the packed weight
  uint64_t load_bytes = 0;                   // staging while it is loaded
  std::vector<Part> parts;                   // one, unless the linear is split
  std::array<std::optional<Cost>, 2> costs;  // by phase; none: cannot run
};

// What a device would not do, and why.
struct Refusal {
  uint32_t device = 0;
  std::string scheme;  // empty: any
  std::string reason;
};

struct LinearClass {
  std::string name;  // "linear 3072x1024"
  uint32_t N = 0;
  uint32_t K = 0;
  std::vector<Cell> cells;
  std::vector<Refusal> refusals;
};

// A device's part in the segments of a class, linears apart.
struct Site {
  uint32_t device = 0;
  uint64_t resident_bytes = 0;  // tables, norms, KV cache at full context
  std::array<std::optional<Cost>, 2> costs;
};

struct SegmentClass {
  std::string name;
  bool keeps_kv = false;  // stays where its KV cache is: both phases there
  std::vector<Site> sites;
  std::vector<Refusal> refusals;
};

struct Linear {
  std::string name;  // "layers.3.mlp.up_proj"
  uint32_t linear_class = 0;
  std::vector<double> kl;  // by scheme: what it adds to the model's
};

// Ops that run on one device in each phase; one tensor leads to the next.
struct SegmentModel {
  std::string name;  // "layers.3.mlp"
  int32_t layer = 0;
  uint32_t segment_class = 0;
  std::array<uint64_t, 2> out_bytes{};  // of one step, by phase
  std::vector<Linear> linears;
};

// What a layer must be, or must not.
struct Rule {
  std::string match;   // a glob over names of segments and linears
  std::string device;  // empty: any
  std::string scheme;  // empty: any
  bool forbids = false;
};

struct Limits {
  std::optional<double> kl;
  std::optional<double> prefill_ns;  // of one prompt batch
  std::optional<double> decode_ns;   // of one step
};

struct Problem {
  Objective objective = Objective::kLatency;
  Workload workload;
  // Phases may be split: other devices or schemes in decode than in prefill.
  bool split_phases = false;
  std::vector<MemoryPool> pools;
  std::vector<DeviceModel> devices;
  std::vector<TransferCurve> transfers;
  std::vector<std::string> schemes;
  // What costs of all but the linears of layers hold for, and plans name; empty
  // if nobody said.
  std::string base_scheme;
  std::string kv;  // format of the KV cache; empty: the base scheme's
  std::vector<LinearClass> linear_classes;
  std::vector<SegmentClass> segment_classes;
  std::vector<SegmentModel> segments;
  Limits limits;
  std::vector<Rule> rules;
  std::string model_fingerprint;

  // kNone-like UINT32_MAX if there is none of that name.
  uint32_t device_index(const std::string& name) const;
  uint32_t scheme_index(const std::string& name) const;
};

// True if a rule lets `name` use the device and the scheme (empty: none yet).
bool rules_allow(const Problem& problem, const std::string& name,
                 const std::string& device, const std::string& scheme);

// What each run of segments on a device takes beside what they hold, by device:
// its buffers, and the largest workspace that any segment or linear has there,
// for a session runs it as a program with a workspace of its own.
//
// Requires  check(problem)
std::vector<uint64_t> bytes_of_runs(const Problem& problem);

// OK if every index is in range, every number finite and not negative, and
// names differ.
// Errors: INVALID_ARGUMENT, naming what is wrong.
Status check(const Problem& problem);

}  // namespace tessera::planner
