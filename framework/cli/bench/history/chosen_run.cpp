// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/bench/history/chosen_run.hpp"

#include <filesystem>
#include <utility>

#include "framework/base/mapped_file.hpp"
#include "framework/cli/bench/history/kept_run.hpp"

namespace tessera::cli {
namespace {

Status no_run(const std::string& path) {
  return {TSR_INVALID_ARGUMENT,
          path +
              ": not what `tessera bench ops`, `bench model` or `bench show` "
              "print with --json"};
}

// Which of the two a row comes from; empty if from neither.
std::string kind_of(const Json& row) {
  if (!row.is_object() || bench::case_name(row).empty()) return {};
  if (row.contains("op")) return "ops";
  return row.contains("context") ? "model" : "";
}

Result<bench::RunRecord> read_run(const std::string& path) {
  TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  const auto* text = reinterpret_cast<const char*>(file.bytes().data());
  Json json = Json::parse(text, text + file.bytes().size(), nullptr, false);
  bench::RunRecord run;
  run.head.command = path;
  run.machine = run.settings = Json::object();
  if (json.is_object() && json.contains("rows")) {
    run.head.machine = json.value("machine", Json()).is_string()
                           ? json.at("machine").get<std::string>()
                           : std::string();
    json = Json(json.at("rows"));
  }
  if (!json.is_array() || json.empty()) return no_run(path);
  for (const Json& row : json) {
    const std::string kind = kind_of(row);
    if (kind.empty()) return no_run(path);
    run.head.kind = kind;
  }
  run.rows = std::move(json);
  run.head.num_rows = run.rows.size();
  return run;
}

}  // namespace

Result<bench::History> open_history(const std::string& db) {
  TSR_ASSIGN_OR_RETURN(const std::string path, history_path(db));
  Result<bench::History> history =
      bench::History::open(path, Database::Access::kReadOnly);
  if (!history.ok() && history.status().code() == TSR_NOT_FOUND && db.empty()) {
    return Status(TSR_NOT_FOUND,
                  path +
                      ": no history yet: `tessera bench ops` and `bench "
                      "model` make it");
  }
  return history;
}

Result<bench::RunRecord> load_run(const std::string& name,
                                  const std::string& db) {
  std::error_code code;
  if (name.ends_with(".json") || std::filesystem::is_regular_file(name, code)) {
    return read_run(name);
  }
  TSR_ASSIGN_OR_RETURN(bench::History history, open_history(db));
  TSR_ASSIGN_OR_RETURN(const int64_t id, history.find(name));
  return history.load(id);
}

}  // namespace tessera::cli
