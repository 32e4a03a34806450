// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/problem/json_fields.hpp"
#include "framework/planner/problem/problem_file.hpp"

namespace tessera::planner {
namespace {

class ProblemWriter {
 public:
  explicit ProblemWriter(const Problem& problem) : problem_(problem) {}

  Json write() const {
    Json json;
    json["format"] = "tessera plan problem";
    json["version"] = 1;
    json["objective"] = objective_name(problem_.objective);
    json["workload"] = {{"prompt", problem_.workload.prompt},
                        {"generate", problem_.workload.generate},
                        {"batch", problem_.workload.batch}};
    json["split_phases"] = problem_.split_phases;
    json["model_fingerprint"] = problem_.model_fingerprint;
    json["limits"] = limits();
    json["rules"] = rules();
    json["pools"] = Json::array();
    for (const MemoryPool& pool : problem_.pools) {
      json["pools"].push_back({{"name", pool.name}, {"bytes", pool.bytes}});
    }
    json["devices"] = devices();
    json["transfers"] = transfers();
    json["schemes"] = problem_.schemes;
    json["base_scheme"] = problem_.base_scheme;
    json["kv"] = problem_.kv;
    json["linear_classes"] = linear_classes();
    json["segment_classes"] = segment_classes();
    json["segments"] = segments();
    return json;
  }

 private:
  std::string device(uint32_t index) const {
    return problem_.devices[index].name;
  }

  Json limits() const {
    Json json = Json::object();
    if (problem_.limits.kl) json["kl"] = *problem_.limits.kl;
    if (problem_.limits.prefill_ns) {
      json["prefill_ns"] = *problem_.limits.prefill_ns;
    }
    if (problem_.limits.decode_ns) {
      json["decode_ns"] = *problem_.limits.decode_ns;
    }
    return json;
  }

  Json rules() const {
    Json list = Json::array();
    for (const Rule& rule : problem_.rules) {
      list.push_back({{"match", rule.match},
                      {"device", rule.device},
                      {"scheme", rule.scheme},
                      {"forbids", rule.forbids}});
    }
    return list;
  }

  Json devices() const {
    Json list = Json::array();
    for (const DeviceModel& entry : problem_.devices) {
      list.push_back({{"name", entry.name},
                      {"clock", entry.simulated ? "simulated" : "wall"},
                      {"pool", problem_.pools[entry.pool].name},
                      {"compute", entry.compute},
                      {"stage_bytes", entry.stage_bytes},
                      {"fingerprint", entry.fingerprint}});
    }
    return list;
  }

  Json transfers() const {
    Json list = Json::array();
    for (const TransferCurve& curve : problem_.transfers) {
      Json points = Json::array();
      for (const TransferCurve::Point& point : curve.points) {
        points.push_back({{"bytes", point.bytes}, {"ns", point.ns}});
      }
      list.push_back({{"from", device(curve.from)},
                      {"to", device(curve.to)},
                      {"points", std::move(points)},
                      {"prefill_return_ns", curve.return_ns[kPrefill]},
                      {"decode_return_ns", curve.return_ns[kDecode]},
                      {"overlap", curve.overlap}});
    }
    return list;
  }

  static void add_costs(const std::array<std::optional<Cost>, 2>& costs,
                        Json& json) {
    const char* const keys[] = {"prefill", "decode"};
    for (uint32_t phase = 0; phase < 2; ++phase) {
      if (!costs[phase]) continue;
      json[keys[phase]] = {{"ns", costs[phase]->ns},
                           {"energy_nj", costs[phase]->energy_nj},
                           {"workspace_bytes", costs[phase]->workspace_bytes},
                           {"source", costs[phase]->source}};
    }
  }

  Json refusals(const std::vector<Refusal>& entries) const {
    Json list = Json::array();
    for (const Refusal& refusal : entries) {
      list.push_back({{"device", device(refusal.device)},
                      {"scheme", refusal.scheme},
                      {"reason", refusal.reason}});
    }
    return list;
  }

  Json cell(const Cell& entry) const {
    Json json;
    json["host"] = device(entry.host);
    json["scheme"] = problem_.schemes[entry.scheme];
    json["kernel"] = entry.kernel;
    json["layout"] = entry.layout;
    json["load_bytes"] = entry.load_bytes;
    json["parts"] = Json::array();
    for (const Part& part : entry.parts) {
      json["parts"].push_back({{"device", device(part.device)},
                               {"n_begin", part.n_begin},
                               {"n_end", part.n_end},
                               {"weight_bytes", part.weight_bytes},
                               {"prefill_ns", part.ns[kPrefill]},
                               {"decode_ns", part.ns[kDecode]}});
    }
    add_costs(entry.costs, json);
    return json;
  }

  Json linear_classes() const {
    Json list = Json::array();
    for (const LinearClass& entry : problem_.linear_classes) {
      Json json = {{"name", entry.name}, {"N", entry.N}, {"K", entry.K}};
      json["cells"] = Json::array();
      for (const Cell& one : entry.cells) json["cells"].push_back(cell(one));
      json["refusals"] = refusals(entry.refusals);
      list.push_back(std::move(json));
    }
    return list;
  }

  Json segment_classes() const {
    Json list = Json::array();
    for (const SegmentClass& entry : problem_.segment_classes) {
      Json json = {{"name", entry.name}, {"keeps_kv", entry.keeps_kv}};
      json["sites"] = Json::array();
      for (const Site& site : entry.sites) {
        Json one = {{"device", device(site.device)},
                    {"resident_bytes", site.resident_bytes}};
        add_costs(site.costs, one);
        json["sites"].push_back(std::move(one));
      }
      json["refusals"] = refusals(entry.refusals);
      list.push_back(std::move(json));
    }
    return list;
  }

  Json segments() const {
    Json list = Json::array();
    for (const SegmentModel& segment : problem_.segments) {
      Json json = {
          {"name", segment.name},
          {"layer", segment.layer},
          {"class", problem_.segment_classes[segment.segment_class].name},
          {"prefill_out_bytes", segment.out_bytes[kPrefill]},
          {"decode_out_bytes", segment.out_bytes[kDecode]}};
      json["linears"] = Json::array();
      for (const Linear& linear : segment.linears) {
        json["linears"].push_back(
            {{"name", linear.name},
             {"class", problem_.linear_classes[linear.linear_class].name},
             {"kl", linear.kl}});
      }
      list.push_back(std::move(json));
    }
    return list;
  }

  const Problem& problem_;
};

}  // namespace

std::string write_problem(const Problem& problem) {
  return ProblemWriter(problem).write().dump(1, ' ', false,
                                             Json::error_handler_t::replace) +
         "\n";
}

}  // namespace tessera::planner
