// SPDX-License-Identifier: Apache-2.0

#include <algorithm>

#include "framework/planner/problem/json_fields.hpp"
#include "framework/planner/problem/problem_file.hpp"

namespace tessera::planner {
namespace {

class ProblemReader {
 public:
  explicit ProblemReader(JsonFields root) : root_(std::move(root)) {}

  Result<Problem> read() {
    if (root_.text("format") != "tessera plan problem") {
      root_.fail("format", "is not \"tessera plan problem\"");
    }
    if (root_.count("version") != 1) root_.fail("version", "is not 1");
    read_head();
    read_list("pools", [this](JsonFields& fields) {
      problem_.pools.push_back({fields.text("name"), fields.count("bytes")});
    });
    read_list("devices", [this](JsonFields& fields) { read_device(fields); });
    read_list("transfers", [this](JsonFields& fields) { read_curve(fields); });
    for (const Json& name : root_.list("schemes")) {
      if (!name.is_string()) root_.fail("schemes", "has what is not text");
      problem_.schemes.push_back(name.is_string() ? name.get<std::string>()
                                                  : "");
    }
    read_list("linear_classes",
              [this](JsonFields& fields) { read_linear_class(fields); });
    read_list("segment_classes",
              [this](JsonFields& fields) { read_segment_class(fields); });
    read_list("segments", [this](JsonFields& fields) { read_segment(fields); });
    read_list("rules", [this](JsonFields& fields) {
      problem_.rules.push_back({fields.text("match"), fields.text("device"),
                                fields.text("scheme"),
                                fields.flag_or("forbids", false)});
    });
    TSR_RETURN_IF_ERROR(root_.status());
    TSR_RETURN_IF_ERROR(check(problem_).annotate(root_.where()));
    return std::move(problem_);
  }

 private:
  // Calls read(fields) for each object of the list `key` of `parent`.
  template <typename Read>
  void read_list_of(JsonFields& parent, const char* key, const Read& read) {
    const std::vector<Json>& list = parent.list(key);
    for (size_t i = 0; i < list.size() && parent.status().ok(); ++i) {
      JsonFields fields(list[i], parent.where(key, i));
      read(fields);
      take_status(fields, parent);
    }
  }
  template <typename Read>
  void read_list(const char* key, const Read& read) {
    read_list_of(root_, key, read);
  }

  // The parent fails as its child did, with the child's message.
  void take_status(const JsonFields& child, JsonFields& parent) {
    if (!child.status().ok()) parent.adopt(child.status());
  }

  void read_head() {
    auto objective = find_objective(root_.text_or("objective", "latency"));
    if (objective.ok()) {
      problem_.objective = *objective;
    } else {
      root_.fail("objective", "is unknown: " + objective.status().message());
    }
    JsonFields workload(root_.object("workload"), root_.where() + ": workload");
    problem_.workload.prompt =
        static_cast<uint32_t>(workload.count("prompt", UINT32_MAX));
    problem_.workload.generate =
        static_cast<uint32_t>(workload.count("generate", UINT32_MAX));
    problem_.workload.batch =
        static_cast<uint32_t>(workload.count("batch", UINT32_MAX));
    take_status(workload, root_);
    problem_.split_phases = root_.flag_or("split_phases", false);
    problem_.model_fingerprint = root_.text_or("model_fingerprint", "");
    problem_.base_scheme = root_.text_or("base_scheme", "");
    problem_.kv = root_.text_or("kv", "");
    JsonFields limits(root_.object("limits"), root_.where() + ": limits");
    if (limits.has("kl")) problem_.limits.kl = limits.amount("kl");
    if (limits.has("prefill_ns")) {
      problem_.limits.prefill_ns = limits.amount("prefill_ns");
    }
    if (limits.has("decode_ns")) {
      problem_.limits.decode_ns = limits.amount("decode_ns");
    }
    take_status(limits, root_);
  }

  // Index of the entry that `key` names.
  template <typename Entry>
  uint32_t named(JsonFields& fields, const char* key,
                 const std::vector<Entry>& entries) {
    const std::string name = fields.text(key);
    for (uint32_t i = 0; i < entries.size(); ++i) {
      if (entries[i].name == name) return i;
    }
    fields.fail(key, "names no such thing: " + name);
    return 0;
  }

  void read_device(JsonFields& fields) {
    DeviceModel device;
    device.name = fields.text("name");
    const std::string clock = fields.text("clock");
    device.simulated = clock == "simulated";
    if (!device.simulated && clock != "wall") {
      fields.fail("clock", "is neither wall nor simulated");
    }
    device.pool = named(fields, "pool", problem_.pools);
    device.compute = static_cast<uint32_t>(fields.count("compute", UINT32_MAX));
    device.stage_bytes = fields.count_or("stage_bytes", 0);
    device.fingerprint = fields.text_or("fingerprint", "");
    problem_.devices.push_back(std::move(device));
  }

  void read_curve(JsonFields& fields) {
    TransferCurve curve;
    curve.from = named(fields, "from", problem_.devices);
    curve.to = named(fields, "to", problem_.devices);
    read_list_of(fields, "points", [&curve](JsonFields& point) {
      curve.points.push_back({point.count("bytes"), point.amount("ns")});
    });
    curve.return_ns = {fields.amount_or("prefill_return_ns", 0.0),
                       fields.amount_or("decode_return_ns", 0.0)};
    curve.overlap = fields.amount_or("overlap", 0.0);
    problem_.transfers.push_back(std::move(curve));
  }

  void read_costs(JsonFields& fields,
                  std::array<std::optional<Cost>, 2>& costs) {
    const char* const keys[] = {"prefill", "decode"};
    for (uint32_t phase = 0; phase < 2; ++phase) {
      if (!fields.has(keys[phase])) continue;
      JsonFields cost(fields.object(keys[phase]),
                      fields.where() + ": " + keys[phase]);
      costs[phase] =
          Cost{cost.amount("ns"), cost.amount_or("energy_nj", 0.0),
               cost.count_or("workspace_bytes", 0), cost.text_or("source", "")};
      take_status(cost, fields);
    }
  }

  void read_refusals(JsonFields& fields, std::vector<Refusal>& refusals) {
    read_list_of(fields, "refusals", [&](JsonFields& entry) {
      refusals.push_back({named(entry, "device", problem_.devices),
                          entry.text_or("scheme", ""), entry.text("reason")});
    });
  }

  void read_cell(JsonFields& fields, std::vector<Cell>& cells) {
    Cell cell;
    cell.host = named(fields, "host", problem_.devices);
    const std::string scheme = fields.text("scheme");
    cell.scheme = problem_.scheme_index(scheme);
    if (cell.scheme == UINT32_MAX) fields.fail("scheme", "is not listed");
    cell.kernel = fields.text_or("kernel", "");
    cell.layout = fields.text_or("layout", "");
    cell.load_bytes = fields.count_or("load_bytes", 0);
    read_list_of(fields, "parts", [&](JsonFields& entry) {
      Part part;
      part.device = named(entry, "device", problem_.devices);
      part.n_begin = static_cast<uint32_t>(entry.count("n_begin", UINT32_MAX));
      part.n_end = static_cast<uint32_t>(entry.count("n_end", UINT32_MAX));
      part.weight_bytes = entry.count("weight_bytes");
      part.ns = {entry.amount_or("prefill_ns", 0.0),
                 entry.amount_or("decode_ns", 0.0)};
      cell.parts.push_back(part);
    });
    read_costs(fields, cell.costs);
    cells.push_back(std::move(cell));
  }

  void read_linear_class(JsonFields& fields) {
    LinearClass entry;
    entry.name = fields.text("name");
    entry.N = static_cast<uint32_t>(fields.count("N", UINT32_MAX));
    entry.K = static_cast<uint32_t>(fields.count("K", UINT32_MAX));
    read_list_of(fields, "cells",
                 [&](JsonFields& cell) { read_cell(cell, entry.cells); });
    read_refusals(fields, entry.refusals);
    problem_.linear_classes.push_back(std::move(entry));
  }

  void read_segment_class(JsonFields& fields) {
    SegmentClass entry;
    entry.name = fields.text("name");
    entry.keeps_kv = fields.flag_or("keeps_kv", false);
    read_list_of(fields, "sites", [&](JsonFields& one) {
      Site site;
      site.device = named(one, "device", problem_.devices);
      site.resident_bytes = one.count("resident_bytes");
      read_costs(one, site.costs);
      entry.sites.push_back(std::move(site));
    });
    read_refusals(fields, entry.refusals);
    problem_.segment_classes.push_back(std::move(entry));
  }

  void read_segment(JsonFields& fields) {
    SegmentModel segment;
    segment.name = fields.text("name");
    // Before the first layer it is -1, which a count is not.
    const Json& layer = fields.value("layer");
    if (layer.is_number_integer() && layer.get<int64_t>() >= INT32_MIN &&
        layer.get<int64_t>() <= INT32_MAX) {
      segment.layer = layer.get<int32_t>();
    } else {
      fields.fail("layer", "is not a whole number");
    }
    segment.segment_class = named(fields, "class", problem_.segment_classes);
    segment.out_bytes = {fields.count_or("prefill_out_bytes", 0),
                         fields.count_or("decode_out_bytes", 0)};
    read_list_of(fields, "linears", [&](JsonFields& entry) {
      Linear linear;
      linear.name = entry.text("name");
      linear.linear_class = named(entry, "class", problem_.linear_classes);
      for (const Json& kl : entry.list("kl")) {
        if (!kl.is_number()) entry.fail("kl", "has what is not a number");
        linear.kl.push_back(kl.is_number() ? kl.get<double>() : 0.0);
      }
      segment.linears.push_back(std::move(linear));
    });
    problem_.segments.push_back(std::move(segment));
  }

  JsonFields root_;
  Problem problem_;
};

}  // namespace

Result<Problem> read_problem(const std::string& text, const std::string& what) {
  TSR_ASSIGN_OR_RETURN(const Json json, parse_object(text, what));
  return ProblemReader(JsonFields(json, what)).read();
}

}  // namespace tessera::planner
