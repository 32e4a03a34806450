// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/history/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace tessera::bench {
namespace {

constexpr std::array<const char*, 1> kSteps = {R"(
CREATE TABLE run (
  id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  began_s INTEGER NOT NULL,
  command TEXT NOT NULL,
  version TEXT NOT NULL,
  commit_id TEXT NOT NULL,
  machine TEXT NOT NULL,
  processor TEXT NOT NULL,
  machine_facts TEXT NOT NULL,
  settings TEXT NOT NULL
);
CREATE TABLE device (
  run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  driver TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  plugin TEXT NOT NULL,
  plugin_version TEXT NOT NULL,
  plugin_sha256 TEXT NOT NULL
);
CREATE INDEX device_of_run ON device(run);
CREATE TABLE result (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  name TEXT NOT NULL,
  figures TEXT NOT NULL
);
CREATE INDEX result_of_run ON result(run);
CREATE TABLE sample (
  result INTEGER NOT NULL REFERENCES result ON DELETE CASCADE,
  metric TEXT NOT NULL,
  ns BLOB NOT NULL,
  PRIMARY KEY (result, metric)
) WITHOUT ROWID;
)"};

// "Tsbh" in the header of the file.
const Schema kSchema = {0x54736268, "benchmark history", kSteps};

constexpr const char* kHeads =
    "SELECT id, uuid, kind, began_s, command, version, commit_id, machine, "
    "processor, (SELECT count(*) FROM result WHERE result.run = run.id) "
    "FROM run";

RunHead read_head(const Statement& row) {
  RunHead head;
  head.id = row.integer(0);
  head.uuid = row.text(1);
  head.kind = row.text(2);
  head.began_s = row.integer(3);
  head.command = row.text(4);
  head.version = row.text(5);
  head.commit = row.text(6);
  head.machine = row.text(7);
  head.processor = row.text(8);
  head.num_rows = static_cast<uint64_t>(row.integer(9));
  return head;
}

// Bytes that are no UTF-8 would otherwise end the program.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The whole of `text` as a number; false if it is something else.
bool parse_count(std::string_view text, uint64_t& out_value) {
  const char* const end = text.data() + text.size();
  const auto [rest, code] = std::from_chars(text.data(), end, out_value);
  return code == std::errc() && rest == end;
}

}  // namespace

Result<History> History::open(const std::string& path,
                              Database::Access access) {
  TSR_ASSIGN_OR_RETURN(Database database,
                       Database::open(path, kSchema, access));
  return History(std::move(database));
}

Result<int64_t> History::add(const RunRecord& run) {
  int64_t id = 0;
  TSR_RETURN_IF_ERROR(database_.transact([&] { return insert(run, &id); }));
  return id;
}

Status History::insert(const RunRecord& run, int64_t* out_id) {
  TSR_ASSIGN_OR_RETURN(
      Statement insert,
      database_.prepare("INSERT INTO run(uuid, kind, began_s, command, "
                        "version, commit_id, machine, processor, "
                        "machine_facts, settings) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  const RunHead& head = run.head;
  TSR_RETURN_IF_ERROR(insert.bind(head.uuid)
                          .bind(head.kind)
                          .bind(head.began_s)
                          .bind(head.command)
                          .bind(head.version)
                          .bind(head.commit)
                          .bind(head.machine)
                          .bind(head.processor)
                          .bind(dump(run.machine))
                          .bind(dump(run.settings))
                          .run());
  const int64_t id = database_.last_row_id();
  TSR_ASSIGN_OR_RETURN(
      Statement device,
      database_.prepare("INSERT INTO device(run, name, description, driver, "
                        "fingerprint, plugin, plugin_version, plugin_sha256) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"));
  for (const RunDevice& from : run.devices) {
    TSR_RETURN_IF_ERROR(device.bind(id)
                            .bind(from.name)
                            .bind(from.description)
                            .bind(from.driver)
                            .bind(from.fingerprint)
                            .bind(from.plugin)
                            .bind(from.plugin_version)
                            .bind(from.plugin_sha256)
                            .run());
  }
  *out_id = id;
  return insert_rows(run, id);
}

Status History::insert_rows(const RunRecord& run, int64_t id) {
  TSR_ASSIGN_OR_RETURN(
      Statement result,
      database_.prepare("INSERT INTO result(run, name, figures) "
                        "VALUES (?, ?, ?)"));
  TSR_ASSIGN_OR_RETURN(
      Statement sample,
      database_.prepare("INSERT INTO sample(result, metric, ns) "
                        "VALUES (?, ?, ?)"));
  for (const Json& row : run.rows) {
    Json figures = row;
    const std::vector<Samples> samples = take_samples(figures);
    TSR_RETURN_IF_ERROR(
        result.bind(id).bind(case_name(row)).bind(dump(figures)).run());
    const int64_t result_id = database_.last_row_id();
    for (const auto& [metric, numbers] : samples) {
      TSR_RETURN_IF_ERROR(
          sample.bind(result_id).bind(metric).bind(numbers).run());
    }
  }
  return {};
}

Result<std::vector<RunHead>> History::list() {
  const std::string sql = std::string(kHeads) + " ORDER BY began_s, id";
  TSR_ASSIGN_OR_RETURN(Statement select, database_.prepare(sql.c_str()));
  std::vector<RunHead> heads;
  for (;;) {
    TSR_ASSIGN_OR_RETURN(const bool has_row, select.step());
    if (!has_row) return heads;
    heads.push_back(read_head(select));
  }
}

Result<int64_t> History::find(const std::string& name) {
  TSR_ASSIGN_OR_RETURN(const std::vector<RunHead> heads, list());
  const auto refusal = [&](tsr_status code, const char* why) {
    return Status(code, fmt::format("{}: {} run {}: `tessera bench list` shows "
                                    "its {} runs",
                                    path(), why, name, heads.size()));
  };
  constexpr std::string_view kLatest = "latest";
  const std::string_view text = name;
  uint64_t number = 0;
  if (text == kLatest ||
      (text.starts_with("latest~") && parse_count(text.substr(7), number))) {
    if (number >= heads.size()) return refusal(TSR_NOT_FOUND, "no");
    return heads[heads.size() - 1 - number].id;
  }
  if (parse_count(text, number)) {
    for (const RunHead& head : heads) {
      if (static_cast<uint64_t>(head.id) == number) return head.id;
    }
  }
  constexpr size_t kLeastDigits = 4;
  const RunHead* found = nullptr;
  for (const RunHead& head : heads) {
    if (text.size() < kLeastDigits || !head.uuid.starts_with(text)) continue;
    if (found != nullptr) return refusal(TSR_INVALID_ARGUMENT, "more than one");
    found = &head;
  }
  if (found == nullptr) return refusal(TSR_NOT_FOUND, "no");
  return found->id;
}

Result<Json> History::parse_stored(const std::string& text) const {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_object()) return json;
  return Status(TSR_DATA_LOSS, path() +
                                   ": damaged: no JSON object where one "
                                   "was written");
}

Result<RunRecord> History::load(int64_t id) {
  RunRecord run;
  {
    const std::string sql = std::string(kHeads) + " WHERE id = ?";
    TSR_ASSIGN_OR_RETURN(Statement select, database_.prepare(sql.c_str()));
    TSR_ASSIGN_OR_RETURN(const bool has_row, select.bind(id).step());
    if (!has_row) {
      return Status(TSR_NOT_FOUND, fmt::format("{}: no run {}", path(), id));
    }
    run.head = read_head(select);
  }
  TSR_ASSIGN_OR_RETURN(
      Statement select,
      database_.prepare(
          "SELECT machine_facts, settings FROM run WHERE id = ?"));
  TSR_ASSIGN_OR_RETURN(const bool has_row, select.bind(id).step());
  if (has_row) {
    TSR_ASSIGN_OR_RETURN(run.machine, parse_stored(select.text(0)));
    TSR_ASSIGN_OR_RETURN(run.settings, parse_stored(select.text(1)));
  }
  TSR_RETURN_IF_ERROR(load_devices(run));
  TSR_RETURN_IF_ERROR(load_rows(run));
  return run;
}

Status History::load_devices(RunRecord& run) {
  TSR_ASSIGN_OR_RETURN(
      Statement select,
      database_.prepare("SELECT name, description, driver, fingerprint, "
                        "plugin, plugin_version, plugin_sha256 FROM device "
                        "WHERE run = ? ORDER BY rowid"));
  select.bind(run.head.id);
  for (;;) {
    TSR_ASSIGN_OR_RETURN(const bool has_row, select.step());
    if (!has_row) return {};
    run.devices.push_back({select.text(0), select.text(1), select.text(2),
                           select.text(3), select.text(4), select.text(5),
                           select.text(6)});
  }
}

Status History::load_rows(RunRecord& run) {
  TSR_ASSIGN_OR_RETURN(
      Statement results,
      database_.prepare(
          "SELECT id, figures FROM result WHERE run = ? ORDER BY id"));
  TSR_ASSIGN_OR_RETURN(
      Statement sample,
      database_.prepare("SELECT metric, ns FROM sample WHERE result = ?"));
  run.rows = Json::array();
  results.bind(run.head.id);
  for (;;) {
    TSR_ASSIGN_OR_RETURN(const bool has_result, results.step());
    if (!has_result) return {};
    TSR_ASSIGN_OR_RETURN(Json row, parse_stored(results.text(1)));
    std::vector<Samples> samples;
    sample.bind(results.integer(0));
    for (;;) {
      TSR_ASSIGN_OR_RETURN(const bool has_sample, sample.step());
      if (!has_sample) break;
      TSR_ASSIGN_OR_RETURN(std::vector<double> numbers, sample.numbers(1));
      samples.emplace_back(sample.text(0), std::move(numbers));
    }
    put_samples(samples, row);
    run.rows.push_back(std::move(row));
  }
}

Result<uint64_t> History::merge(History& other) {
  uint64_t added = 0;
  const Status status = database_.transact([&]() -> Status {
    TSR_ASSIGN_OR_RETURN(const std::vector<RunHead> here, list());
    TSR_ASSIGN_OR_RETURN(const std::vector<RunHead> there, other.list());
    for (const RunHead& head : there) {
      const bool is_known = std::any_of(
          here.begin(), here.end(),
          [&](const RunHead& known) { return known.uuid == head.uuid; });
      if (is_known) continue;
      TSR_ASSIGN_OR_RETURN(const RunRecord run, other.load(head.id));
      int64_t id = 0;
      TSR_RETURN_IF_ERROR(insert(run, &id));
      ++added;
    }
    return {};
  });
  if (!status.ok()) return status;
  return added;
}

}  // namespace tessera::bench
