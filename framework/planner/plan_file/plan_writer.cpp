// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/plan_file/plan_file.hpp"
#include "framework/planner/problem/json_fields.hpp"

namespace tessera::planner {
namespace {

Json parts_json(const std::vector<PlannedPart>& parts) {
  Json list = Json::array();
  for (const PlannedPart& part : parts) {
    list.push_back({{"device", part.device},
                    {"n_begin", part.n_begin},
                    {"n_end", part.n_end},
                    {"scheme", part.scheme},
                    {"kernel", part.kernel},
                    {"layout", part.layout},
                    {"predicted_ns", part.predicted_ns}});
  }
  return {{"parts", std::move(list)}};
}

Json layers_json(const std::vector<PlannedLayer>& layers) {
  Json list = Json::array();
  for (const PlannedLayer& layer : layers) {
    Json json = {{"name", layer.name},
                 {"op", layer.op},
                 {"segment", layer.segment},
                 {"prefill", parts_json(layer.phases[kPrefill])},
                 {"decode", parts_json(layer.phases[kDecode])},
                 {"kl", layer.kl}};
    json["margin_ns"] = layer.margin_ns ? Json(*layer.margin_ns) : Json();
    json["second"] = layer.second;
    json["reason"] = layer.reason;
    json["refusals"] = layer.refusals;
    list.push_back(std::move(json));
  }
  return list;
}

Json contingencies_json(const std::vector<Contingency>& contingencies) {
  Json list = Json::array();
  for (const Contingency& entry : contingencies) {
    Json json = {{"lost", entry.lost},
                 {"failure", entry.failure},
                 {"objective_value", entry.objective},
                 {"gap", entry.gap}};
    json["layers"] = Json::array();
    for (const Contingency::Layer& layer : entry.layers) {
      json["layers"].push_back({{"name", layer.name},
                                {"devices", layer.devices},
                                {"schemes", layer.schemes}});
    }
    list.push_back(std::move(json));
  }
  return list;
}

// Of a whole request: prompt and decode steps.
Json total_json(const PlanFile& plan) {
  std::map<std::string, double> total = plan.prefill_ns;
  for (const auto& [clock, ns] : plan.decode_ns) {
    total[clock] += ns * plan.workload.generate;
  }
  return total;
}

void add_accuracy(const PlanFile& plan, Json& json) {
  json["kl_predicted"] = plan.kl_predicted;
  json["kl_limit"] = plan.kl_limit ? Json(*plan.kl_limit) : Json();
  json["kl_measured"] = plan.kl_measured ? Json(*plan.kl_measured) : Json();
  json["kl_measured_ci95"] =
      plan.kl_measured_ci95 ? Json(*plan.kl_measured_ci95) : Json();
}

}  // namespace

std::string write_plan(const PlanFile& plan) {
  Json json;
  json["format"] = "tessera plan";
  json["version"] = kPlanVersion;
  json["objective"] = plan.objective;
  json["workload"] = {{"prompt", plan.workload.prompt},
                      {"generate", plan.workload.generate},
                      {"batch", plan.workload.batch}};
  json["split_phases"] = plan.split_phases;
  json["base_scheme"] = plan.base_scheme;
  json["kv"] = plan.kv;
  json["objective_value"] = plan.objective_value;
  json["lower_bound"] = plan.lower_bound;
  // The name that users of the latency objective look for.
  json["lower_bound_ns"] =
      plan.objective == "latency" || plan.objective == "throughput"
          ? Json(plan.lower_bound)
          : Json();
  json["gap"] = plan.gap;
  json["predicted_ns"] = total_json(plan);
  json["prefill_ns"] = plan.prefill_ns;
  json["decode_ns"] = plan.decode_ns;
  json["energy_nj"] = plan.energy_nj;
  add_accuracy(plan, json);
  json["in_place"] = plan.in_place;
  json["memory"] = plan.memory;
  json["memory_limits"] = plan.memory_limits;
  json["fingerprints"] = {{"model", plan.model_fingerprint},
                          {"devices", plan.device_fingerprints},
                          {"measurements", plan.measurements_fingerprint}};
  json["layers"] = layers_json(plan.layers);
  json["contingencies"] = contingencies_json(plan.contingencies);
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tessera::planner
