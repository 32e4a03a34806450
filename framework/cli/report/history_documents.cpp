// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/report/history_documents.hpp"

#include <algorithm>
#include <filesystem>
#include <set>
#include <tuple>
#include <utility>

#include "framework/bench/history/history.hpp"
#include "framework/cli/bench/history/run_json.hpp"

namespace tessera::cli {
namespace {

// Where a run stands.
struct Place {
  size_t file = 0;
  bench::RunHead head;
};

// Runs of one machine and kind side by side, the newest first; a run that is in
// several files, once.
std::vector<Place> ordered(std::vector<Place> places) {
  const auto key = [](const Place& place) {
    return std::tie(place.head.machine, place.head.kind);
  };
  std::sort(places.begin(), places.end(), [&](const Place& a, const Place& b) {
    if (key(a) != key(b)) return key(a) < key(b);
    return std::tie(b.head.began_s, b.head.id, a.file) <
           std::tie(a.head.began_s, a.head.id, b.file);
  });
  std::set<std::string> seen;
  std::erase_if(places, [&seen](const Place& place) {
    return !seen.insert(place.head.uuid).second;
  });
  return places;
}

// Those rows of a run that have figures and whose case is not there yet.
void add_rows(const Json& rows, std::set<std::string>& cases, Json& all) {
  for (const Json& row : rows) {
    const std::string name = bench::case_name(row);
    const bool has_figures = row.value("reason", "").empty();
    if (!has_figures || name.empty() || !cases.insert(name).second) continue;
    all.push_back(row);
    all.back()["case"] = name;
  }
}

}  // namespace

Result<std::vector<report::Document>> history_documents(
    const std::vector<std::string>& files) {
  std::vector<bench::History> histories;
  std::vector<Place> places;
  for (const std::string& file : files) {
    TSR_ASSIGN_OR_RETURN(bench::History history,
                         bench::History::open(file, Database::Access::kReadOnly)
                             .annotate("--db"));
    TSR_ASSIGN_OR_RETURN(const std::vector<bench::RunHead> heads,
                         history.list());
    for (const bench::RunHead& head : heads) {
      places.push_back({histories.size(), head});
    }
    histories.push_back(std::move(history));
  }
  std::vector<report::Document> documents;
  std::set<std::string> cases;
  const bench::RunHead* before = nullptr;
  places = ordered(std::move(places));
  for (const Place& place : places) {
    TSR_ASSIGN_OR_RETURN(const bench::RunRecord run,
                         histories[place.file].load(place.head.id));
    const bool is_first = before == nullptr ||
                          before->machine != place.head.machine ||
                          before->kind != place.head.kind;
    before = &place.head;
    if (is_first) {
      cases.clear();
      const std::string name =
          std::filesystem::path(files[place.file]).filename().string();
      documents.push_back({name, "run", run_json(run)});
      documents.back().json["rows"] = Json::array();
    }
    add_rows(run_json(run).at("rows"), cases, documents.back().json["rows"]);
  }
  return documents;
}

}  // namespace tessera::cli
