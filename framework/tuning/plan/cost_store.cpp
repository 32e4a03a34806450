// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/cost_store.hpp"

#include <utility>

namespace tessera {
namespace {

constexpr const char* kSteps[] = {
    "CREATE TABLE probes (id INTEGER PRIMARY KEY, device TEXT NOT NULL,"
    " threads INTEGER NOT NULL, segment TEXT NOT NULL, scheme TEXT NOT NULL,"
    " base TEXT NOT NULL, workload TEXT NOT NULL, stage_ns REAL NOT NULL,"
    " measured_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,"
    " UNIQUE (device, threads, segment, scheme, base, workload));"
    "CREATE TABLE costs (probe INTEGER NOT NULL REFERENCES probes (id),"
    " position INTEGER NOT NULL, part TEXT NOT NULL,"
    " phase INTEGER NOT NULL, kernel TEXT NOT NULL, ns REAL NOT NULL,"
    " workspace_bytes INTEGER NOT NULL, PRIMARY KEY (probe, position, phase))"
    " WITHOUT ROWID;",
    // What was timed by itself, hot in caches, is not what it takes in a model.
    "DELETE FROM costs;"
    "DELETE FROM probes;"
    "ALTER TABLE probes DROP COLUMN stage_ns;",
    // What has no spread may have been timed beside other work.
    "DELETE FROM costs;"
    "DELETE FROM probes;"
    "ALTER TABLE probes ADD COLUMN prefill_low REAL NOT NULL DEFAULT 1;"
    "ALTER TABLE probes ADD COLUMN prefill_high REAL NOT NULL DEFAULT 1;"
    "ALTER TABLE probes ADD COLUMN decode_low REAL NOT NULL DEFAULT 1;"
    "ALTER TABLE probes ADD COLUMN decode_high REAL NOT NULL DEFAULT 1;"};

// "TSRc"
constexpr Schema kSchema{0x54535263, "table of measured costs", kSteps};

Statement& bind_key(Statement& statement, const CostKey& key) {
  return statement.bind(key.device)
      .bind(int64_t{key.threads})
      .bind(key.segment)
      .bind(key.scheme)
      .bind(key.base)
      .bind(key.workload);
}

}  // namespace

Result<CostStore> CostStore::open(const std::string& path) {
  TSR_ASSIGN_OR_RETURN(Database database, Database::open(path, kSchema));
  return CostStore(std::move(database));
}

Result<std::optional<MeasuredSegment>> CostStore::find(const CostKey& key) {
  TSR_ASSIGN_OR_RETURN(
      Statement select,
      database_.prepare(
          "SELECT position, part, phase, kernel, ns, workspace_bytes,"
          " prefill_low, prefill_high, decode_low, decode_high"
          " FROM probes JOIN costs ON probe = id WHERE device = ? AND"
          " threads = ? AND segment = ? AND scheme = ? AND base = ? AND"
          " workload = ? ORDER BY position, phase"));
  bind_key(select, key);
  std::optional<MeasuredSegment> found;
  while (true) {
    TSR_ASSIGN_OR_RETURN(const bool has_row, select.step());
    if (!has_row) return found;
    if (!found) {
      found.emplace();
      found->spread = {TimeSpread{select.number(6), select.number(7)},
                       TimeSpread{select.number(8), select.number(9)}};
    }
    const int64_t phase = select.integer(2);
    if (phase == planner::kPrefill) {
      found->parts.push_back({select.text(1), select.text(3), {}});
    }
    if (found->parts.empty() || phase < 0 || phase > planner::kDecode) {
      return Status(TSR_DATA_LOSS,
                    database_.path() + ": costs of a phase that there is not");
    }
    planner::Cost& cost = found->parts.back().costs[static_cast<size_t>(phase)];
    cost.ns = select.number(4);
    cost.workspace_bytes = static_cast<uint64_t>(select.integer(5));
    cost.source = "measured";
  }
}

Status CostStore::put_parts(const MeasuredSegment& segment, int64_t probe) {
  TSR_ASSIGN_OR_RETURN(
      Statement insert,
      database_.prepare("INSERT INTO costs VALUES (?, ?, ?, ?, ?, ?, ?)"));
  for (size_t i = 0; i < segment.parts.size(); ++i) {
    const MeasuredPart& part = segment.parts[i];
    for (size_t phase = 0; phase < part.costs.size(); ++phase) {
      const planner::Cost& cost = part.costs[phase];
      TSR_RETURN_IF_ERROR(insert.bind(probe)
                              .bind(static_cast<int64_t>(i))
                              .bind(part.name)
                              .bind(static_cast<int64_t>(phase))
                              .bind(part.kernel)
                              .bind(cost.ns)
                              .bind(static_cast<int64_t>(cost.workspace_bytes))
                              .run());
    }
  }
  return {};
}

Status CostStore::put(const CostKey& key, const MeasuredSegment& segment) {
  return database_.transact([&]() -> Status {
    TSR_ASSIGN_OR_RETURN(
        Statement old,
        database_.prepare(
            "DELETE FROM costs WHERE probe IN (SELECT id FROM probes WHERE"
            " device = ? AND threads = ? AND segment = ? AND scheme = ? AND"
            " base = ? AND workload = ?)"));
    TSR_RETURN_IF_ERROR(bind_key(old, key).run());
    TSR_ASSIGN_OR_RETURN(
        Statement insert,
        database_.prepare(
            "INSERT OR REPLACE INTO probes (device, threads, segment, scheme,"
            " base, workload, prefill_low, prefill_high, decode_low,"
            " decode_high) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
    bind_key(insert, key);
    for (const TimeSpread& spread : segment.spread) {
      insert.bind(spread.low).bind(spread.high);
    }
    TSR_RETURN_IF_ERROR(insert.run());
    return put_parts(segment, database_.last_row_id());
  });
}

}  // namespace tessera
