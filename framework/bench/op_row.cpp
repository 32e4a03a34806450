// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/op_row.hpp"

#include "framework/bench/statistics/drift.hpp"
#include "framework/bench/statistics/median_interval.hpp"

namespace tessera::bench {
namespace {

using Json = nlohmann::ordered_json;

void add_shape(const OpQuestion& q, Json& row) {
  if (q.op == "attention") {
    row["batch"] = q.batch;
    row["q_len"] = q.q_len;
    row["kv_len"] = q.kv_len;
    row["heads"] = q.heads;
    row["kv_heads"] = q.kv_heads == 0 ? q.heads : q.kv_heads;
    row["head_dim"] = q.head_dim;
    row["kv_type"] = q.kv.empty() ? "f16" : q.kv;
    return;
  }
  if (is_linear(q.op)) {
    if (q.op == "linear") {
      row["M"] = q.shape.at(0);
    } else {
      row["M"] = q.rows;
    }
    row["N"] = q.shape.at(q.shape.size() - 2);
    row["K"] = q.shape.at(q.shape.size() - 1);
    return;
  }
  row["M"] = q.shape.at(0);
  row["N"] = q.shape.at(1);
  row["K"] = nullptr;
}

Json limit_json(const Limit& limit) {
  if (limit.per_ns == 0.0) return nullptr;
  return {{"per_ns", limit.per_ns}, {"how", limit.how}};
}

// The keys of the promised order, without figures.
void add_nulls(Json& row) {
  for (const char* key :
       {"median_ns", "ci95_ns", "clock", "bytes", "ops", "limit", "limit_kind",
        "achieved_over_limit", "correct"}) {
    row[key] = nullptr;
  }
  row["clock"] = "wall";
}

}  // namespace

Json question_row(const OpQuestion& question, const std::string& device) {
  Json row;
  row["op"] = question.op;
  row["device"] = device;
  row["scheme"] = is_linear(question.op) ? Json(question.scheme) : Json();
  add_shape(question, row);
  return row;
}

Json measured_row(const OpQuestion& question, const TimedOp& op,
                  const Measurement& measurement, const OpLimit& limit) {
  Json row = question_row(question, op.submitter.device().name());
  add_nulls(row);
  row["weights"] = question.cold ? "cold" : "hot";
  row["reason"] = "";
  const double median = quantile_of(measurement.wall_ns, 0.5);
  row["median_ns"] = median;
  row["min_ns"] = quantile_of(measurement.wall_ns, 0.0);
  row["samples_ns"] = measurement.wall_ns;
  row["placements"] = measurement.placements;
  row["wander"] = nullptr;
  row["drifts"] = drifts(measurement.wall_ns);
  row["device_median_ns"] = nullptr;
  row["device_min_ns"] = nullptr;
  if (!measurement.device_ns.empty()) {
    const MedianInterval device = median_interval(measurement.device_ns);
    row["device_median_ns"] = device.median;
    row["device_min_ns"] = device.min;
  }
  row["energy_nj"] =
      measurement.energy_nj > 0 ? Json(measurement.energy_nj) : Json();
  row["bytes"] = op.cost.bytes;
  row["ops"] = op.cost.operations;
  row["rotated_bytes"] = op.rotated_bytes;
  row["kernel"] = op.kernel;
  row["timed_ops"] = measurement.ops;
  if (limit.ns > 0.0) {
    row["limit"] = limit.ns;
    row["limit_kind"] = limit.kind;
    row["achieved_over_limit"] = limit.ns / median;
  }
  row["limits"] = {{"memory", limit_json(limit.memory)},
                   {"compute", limit_json(limit.compute)}};
  row["harness_share"] = measurement.timed_ns > 0.0
                             ? measurement.harness_ns / measurement.timed_ns
                             : 0.0;
  row["correct"] = true;
  return row;
}

void add_interval(double machine_wander, Json& row) {
  const auto samples = row.at("samples_ns").get<std::vector<double>>();
  const double median = row.at("median_ns");
  const double run_ns = median * row.at("timed_ops").get<double>();
  const MedianInterval wall = median_interval(samples, machine_wander, run_ns);
  row["ci95_ns"] = {wall.low, wall.high};
  row["wander"] = wall.wander;
}

Json failed_row(const OpQuestion& question, const std::string& device,
                const Status& status) {
  Json row = question_row(question, device);
  add_nulls(row);
  row["weights"] = question.cold ? "cold" : "hot";
  row["reason"] = status.message();
  if (status.code() == TSR_DATA_LOSS) row["correct"] = false;
  return row;
}

}  // namespace tessera::bench
