// SPDX-License-Identifier: Apache-2.0

#include <fmt/format.h>

#include <set>
#include <string>

#include "framework/planner/plan_file/plan_file.hpp"
#include "framework/planner/problem/json_fields.hpp"

namespace tessera::planner {
namespace {

class PlanReader {
 public:
  explicit PlanReader(JsonFields root) : root_(std::move(root)) {}

  Result<PlanFile> read() {
    if (root_.text("format") != "tessera plan") {
      root_.fail("format", "is not \"tessera plan\"");
    }
    const uint64_t version = root_.count("version");
    if (version != kPlanVersion) {
      root_.fail("version", fmt::format("is {}, this program reads {}", version,
                                        kPlanVersion));
    }
    read_head();
    read_accuracy();
    read_fingerprints();
    each(root_, "layers", [this](JsonFields& fields) { read_layer(fields); });
    each(root_, "contingencies",
         [this](JsonFields& fields) { read_contingency(fields); });
    TSR_RETURN_IF_ERROR(root_.status());
    return std::move(plan_);
  }

 private:
  template <typename Read>
  void each(JsonFields& parent, const char* key, const Read& read) {
    const std::vector<Json>& list = parent.list(key);
    for (size_t i = 0; i < list.size() && parent.status().ok(); ++i) {
      JsonFields fields(list[i], parent.where(key, i));
      read(fields);
      if (!fields.status().ok()) parent.adopt(fields.status());
    }
  }

  void read_head() {
    plan_.objective = root_.text("objective");
    JsonFields workload(root_.object("workload"), root_.where() + ": workload");
    plan_.workload.prompt =
        static_cast<uint32_t>(workload.count("prompt", UINT32_MAX));
    plan_.workload.generate =
        static_cast<uint32_t>(workload.count("generate", UINT32_MAX));
    plan_.workload.batch =
        static_cast<uint32_t>(workload.count("batch", UINT32_MAX));
    if (!workload.status().ok()) root_.adopt(workload.status());
    plan_.split_phases = root_.flag_or("split_phases", false);
    plan_.base_scheme = root_.text("base_scheme");
    plan_.kv = root_.text_or("kv", "");
    plan_.objective_value = root_.amount("objective_value");
    plan_.lower_bound = root_.amount("lower_bound");
    plan_.gap = root_.amount("gap");
    plan_.in_place = root_.text_or("in_place", "");
    plan_.prefill_ns = amounts("prefill_ns");
    plan_.decode_ns = amounts("decode_ns");
    plan_.energy_nj = root_.amount_or("energy_nj", 0.0);
    plan_.memory = counts("memory");
    plan_.memory_limits = counts("memory_limits");
  }

  std::map<std::string, double> amounts(const char* key) {
    std::map<std::string, double> result;
    const Json& object = root_.object(key);
    JsonFields fields(object, root_.where() + ": " + key);
    for (const auto& [name, value] : object.items()) {
      result[name] = fields.amount(name.c_str());
    }
    if (!fields.status().ok()) root_.adopt(fields.status());
    return result;
  }

  std::map<std::string, uint64_t> counts(const char* key) {
    std::map<std::string, uint64_t> result;
    const Json& object = root_.object(key);
    JsonFields fields(object, root_.where() + ": " + key);
    for (const auto& [name, value] : object.items()) {
      result[name] = fields.count(name.c_str());
    }
    if (!fields.status().ok()) root_.adopt(fields.status());
    return result;
  }

  std::optional<double> amount_or_null(JsonFields& fields, const char* key) {
    if (fields.value(key).is_null()) return std::nullopt;
    return fields.amount(key);
  }

  void read_accuracy() {
    plan_.kl_predicted = root_.amount_or("kl_predicted", 0.0);
    plan_.kl_limit = amount_or_null(root_, "kl_limit");
    plan_.kl_measured = amount_or_null(root_, "kl_measured");
    const Json& interval = root_.value("kl_measured_ci95");
    if (interval.is_null()) return;
    if (!interval.is_array() || interval.size() != 2 ||
        !interval[0].is_number() || !interval[1].is_number()) {
      root_.fail("kl_measured_ci95", "is not two numbers");
      return;
    }
    plan_.kl_measured_ci95 = {interval[0].get<double>(),
                              interval[1].get<double>()};
  }

  void read_fingerprints() {
    JsonFields prints(root_.object("fingerprints"),
                      root_.where() + ": fingerprints");
    plan_.model_fingerprint = prints.text("model");
    plan_.measurements_fingerprint = prints.text_or("measurements", "");
    const Json& devices = prints.object("devices");
    JsonFields fields(devices, prints.where() + ": devices");
    for (const auto& [name, value] : devices.items()) {
      plan_.device_fingerprints[name] = fields.text(name.c_str());
    }
    if (!fields.status().ok()) prints.adopt(fields.status());
    if (!prints.status().ok()) root_.adopt(prints.status());
  }

  void read_parts(JsonFields& layer, const char* key,
                  std::vector<PlannedPart>& parts) {
    JsonFields phase(layer.object(key), layer.where() + ": " + key);
    each(phase, "parts", [&parts](JsonFields& fields) {
      PlannedPart part;
      part.device = fields.text("device");
      part.n_begin = static_cast<uint32_t>(fields.count("n_begin", UINT32_MAX));
      part.n_end = static_cast<uint32_t>(fields.count("n_end", UINT32_MAX));
      part.scheme = fields.text("scheme");
      part.kernel = fields.text_or("kernel", "");
      part.layout = fields.text_or("layout", "");
      part.predicted_ns = fields.amount("predicted_ns");
      parts.push_back(std::move(part));
    });
    if (parts.empty()) phase.fail("parts", "are missing");
    if (!phase.status().ok()) layer.adopt(phase.status());
  }

  void read_layer(JsonFields& fields) {
    PlannedLayer layer;
    layer.name = fields.text("name");
    layer.op = fields.text("op");
    if (layer.op != "segment" && layer.op != "linear") {
      fields.fail("op", "is neither segment nor linear");
    }
    layer.segment = fields.text("segment");
    read_parts(fields, "prefill", layer.phases[kPrefill]);
    read_parts(fields, "decode", layer.phases[kDecode]);
    layer.kl = fields.amount_or("kl", 0.0);
    layer.margin_ns = amount_or_null(fields, "margin_ns");
    layer.second = fields.text_or("second", "");
    layer.reason = fields.text_or("reason", "");
    for (const Json& refusal : fields.list("refusals")) {
      if (refusal.is_string()) {
        layer.refusals.push_back(refusal.get<std::string>());
      } else {
        fields.fail("refusals", "has what is not text");
      }
    }
    if (!names_.insert(layer.name).second) {
      fields.fail("name", "is that of two layers: " + layer.name);
    }
    plan_.layers.push_back(std::move(layer));
  }

  static void read_pair(JsonFields& fields, const char* key,
                        std::array<std::string, 2>& out_pair) {
    const std::vector<Json>& list = fields.list(key);
    if (list.size() != 2 || !list[0].is_string() || !list[1].is_string()) {
      fields.fail(key, "is not two names");
      return;
    }
    out_pair = {list[0].get<std::string>(), list[1].get<std::string>()};
  }

  void read_contingency(JsonFields& fields) {
    Contingency entry;
    entry.lost = fields.text("lost");
    entry.failure = fields.text_or("failure", "");
    entry.objective = fields.amount_or("objective_value", 0.0);
    entry.gap = fields.amount_or("gap", 0.0);
    each(fields, "layers", [&entry](JsonFields& one) {
      Contingency::Layer layer;
      layer.name = one.text("name");
      read_pair(one, "devices", layer.devices);
      read_pair(one, "schemes", layer.schemes);
      entry.layers.push_back(std::move(layer));
    });
    plan_.contingencies.push_back(std::move(entry));
  }

  JsonFields root_;
  PlanFile plan_;
  std::set<std::string> names_;  // of layers
};

}  // namespace

Result<PlanFile> read_plan(const std::string& text, const std::string& what) {
  TSR_ASSIGN_OR_RETURN(const Json json, parse_object(text, what));
  return PlanReader(JsonFields(json, what)).read();
}

}  // namespace tessera::planner
