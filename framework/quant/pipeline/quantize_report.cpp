// SPDX-License-Identifier: Apache-2.0
//
// The report as JSON, between two runs of one program: doubles keep their bits.

#include "framework/quant/pipeline/quantize_report.hpp"

#include <bit>
#include <nlohmann/json.hpp>

namespace tessera::quant {
namespace {

using nlohmann::json;

// Infinities too, which JSON has no word for.
uint64_t bits_of(double value) { return std::bit_cast<uint64_t>(value); }

double number(const json& row, const char* key) {
  return std::bit_cast<double>(row.at(key).get<uint64_t>());
}

json to_json(const LayerChoice& choice) {
  return {{"name", choice.name},
          {"scheme", choice.scheme},
          {"reason", static_cast<int>(choice.reason)},
          {"rule", choice.rule},
          {"metric", bits_of(choice.metric)},
          {"rank", choice.rank}};
}

LayerChoice read_choice(const json& row) {
  LayerChoice choice;
  choice.name = row.at("name").get<std::string>();
  choice.scheme = row.at("scheme").get<std::string>();
  choice.reason = static_cast<SchemeReason>(row.at("reason").get<int>());
  choice.rule = row.at("rule").get<std::string>();
  choice.metric = number(row, "metric");
  choice.rank = row.at("rank").get<uint32_t>();
  return choice;
}

json to_json(const LayerReport& layer) {
  return {{"name", layer.name},
          {"scheme", layer.scheme},
          {"reason", static_cast<int>(layer.reason)},
          {"metric", bits_of(layer.metric)},
          {"fallback", layer.fallback},
          {"parameters", layer.parameters},
          {"bytes_in", layer.bytes_in},
          {"bytes_out", layer.bytes_out},
          {"mae", bits_of(layer.mae)},
          {"mse", bits_of(layer.mse)},
          {"sqnr_db", bits_of(layer.sqnr_db)},
          {"cosine", bits_of(layer.cosine)},
          {"note", layer.note}};
}

LayerReport read_layer(const json& row) {
  LayerReport layer;
  layer.name = row.at("name").get<std::string>();
  layer.scheme = row.at("scheme").get<std::string>();
  layer.reason = static_cast<SchemeReason>(row.at("reason").get<int>());
  layer.metric = number(row, "metric");
  layer.fallback = row.at("fallback").get<bool>();
  layer.parameters = row.at("parameters").get<uint64_t>();
  layer.bytes_in = row.at("bytes_in").get<uint64_t>();
  layer.bytes_out = row.at("bytes_out").get<uint64_t>();
  layer.mae = number(row, "mae");
  layer.mse = number(row, "mse");
  layer.sqnr_db = number(row, "sqnr_db");
  layer.cosine = number(row, "cosine");
  layer.note = row.at("note").get<std::string>();
  return layer;
}

}  // namespace

std::string write_notes(const RunNotes& notes) {
  json choices = json::array();
  for (const LayerChoice& choice : notes.choices) {
    choices.push_back(to_json(choice));
  }
  json layers = json::array();
  for (const LayerReport& layer : notes.layers) {
    layers.push_back(to_json(layer));
  }
  return json{
      {"choices", choices}, {"warnings", notes.warnings}, {"layers", layers}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<RunNotes> read_notes(const std::string& text) {
  // The library reports what is missing or of another type by throwing.
  try {
    const json document = json::parse(text);
    RunNotes notes;
    for (const json& row : document.at("choices")) {
      notes.choices.push_back(read_choice(row));
    }
    document.at("warnings").get_to(notes.warnings);
    for (const json& row : document.at("layers")) {
      notes.layers.push_back(read_layer(row));
    }
    return notes;
  } catch (const json::exception& error) {
    return Status(TSR_DATA_LOSS,
                  std::string("notes of an earlier run: ") + error.what());
  }
}

}  // namespace tessera::quant
