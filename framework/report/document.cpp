// SPDX-License-Identifier: Apache-2.0

#include "framework/report/document.hpp"

#include <fmt/format.h>

#include <initializer_list>
#include <utility>

namespace tessera::report {
namespace {

using Json = nlohmann::ordered_json;

bool has_keys(const Json& json, std::initializer_list<const char*> keys) {
  if (!json.is_object()) return false;
  for (const char* key : keys) {
    if (!json.contains(key)) return false;
  }
  return true;
}

bool is_array_at(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_array();
}

// Of one row of a list, or of a document that is no list; empty if unknown.
std::string kind_of(const Json& json) {
  if (has_keys(json, {"op", "device", "median_ns", "limit"})) {
    return "bench ops";
  }
  if (has_keys(json, {"batch", "context", "decode_tokens_per_s"})) {
    return "bench model";
  }
  if (has_keys(json, {"device", "scheme", "model_size", "kl_mean"})) {
    return "comparison";
  }
  if (has_keys(json, {"objective", "predicted_ns", "layers"}) &&
      is_array_at(json, "layers")) {
    return "plan";
  }
  if (has_keys(json, {"scheme", "bytes_in", "layers"}) &&
      is_array_at(json, "layers")) {
    return "quantization";
  }
  if (has_keys(json, {"traceEvents"}) && is_array_at(json, "traceEvents")) {
    return "trace";
  }
  if (has_keys(json, {"plugin", "levels"}) && is_array_at(json, "levels")) {
    return "conformance";
  }
  // What `bench show` prints: a run of a history.
  if (has_keys(json, {"machine", "kind", "rows"}) &&
      is_array_at(json, "rows")) {
    return "run";
  }
  if (has_keys(json, {"environment", "devices"}) &&
      is_array_at(json, "devices")) {
    return "devices";
  }
  return {};
}

bool comes_in_lists(const std::string& kind) {
  return kind == "bench ops" || kind == "bench model" || kind == "comparison";
}

void drop_samples(Json& rows) {
  for (Json& row : rows) {
    if (!row.is_object()) continue;
    for (const char* key : {"samples_ns", "samples", "simulation"}) {
      row.erase(key);
    }
  }
}

// What the page has no picture of, and may be large.
void drop_bulk(Document& document) {
  if (document.kind == "bench ops") drop_samples(document.json);
  if (document.kind == "run") drop_samples(document.json.at("rows"));
  if (document.kind != "trace") return;
  // One core tells the story; the page shows the first.
  constexpr size_t kMostEvents = 20'000;
  Json kept = Json::array();
  for (Json& event : document.json.at("traceEvents")) {
    if (!event.is_object() || kept.size() >= kMostEvents) continue;
    if (event.value("pid", Json()) == 0) kept.push_back(std::move(event));
  }
  document.json = {{"traceEvents", std::move(kept)}};
}

}  // namespace

Result<Document> read_document(const std::string& name, std::string_view text) {
  Document document;
  document.name = name;
  document.json = Json::parse(text, nullptr, false);
  const Json& json = document.json;
  if (json.is_discarded()) {
    return Status(TSR_INVALID_ARGUMENT, name + ": not JSON");
  }
  if (json.is_array() && !json.empty()) {
    document.kind = kind_of(json.front());
    for (const Json& row : json) {
      if (kind_of(row) != document.kind) document.kind.clear();
    }
    if (!comes_in_lists(document.kind)) document.kind.clear();
  } else {
    document.kind = kind_of(json);
    // compare prints an only candidate without a list.
    if (comes_in_lists(document.kind)) {
      document.json = Json::array({std::move(document.json)});
    }
  }
  if (document.kind == "run") {
    for (const Json& row : json.at("rows")) {
      if (!row.is_object()) document.kind.clear();
    }
  }
  if (document.kind.empty()) {
    return Status(
        TSR_INVALID_ARGUMENT,
        name +
            ": not what bench ops, bench model, bench show, compare, "
            "quantize, conform or devices --env print with --json, nor a plan "
            "or a trace");
  }
  drop_bulk(document);
  return document;
}

}  // namespace tessera::report
