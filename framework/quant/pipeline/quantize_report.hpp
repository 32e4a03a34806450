// SPDX-License-Identifier: Apache-2.0
//
// What quantizing a model did to each of its linears.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/quant/fallback/fallback.hpp"

namespace tessera::quant {

// What one linear became.
struct LayerReport {
  std::string name;    // "layers.3.mlp.down_proj"
  std::string scheme;  // the file's floats: "float"
  SchemeReason reason = SchemeReason::kDefault;
  double metric = 0.0;  // sensitivity; 0 without calibration
  bool fallback = false;
  uint64_t parameters = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  double mae = 0.0;  // of the weights; 0 for floats
  double mse = 0.0;
  double sqnr_db = 0.0;
  double cosine = 1.0;
  // Why it is in fallback though no rule says so: the scheme cannot hold it.
  std::string note;
};

struct QuantizeReport {
  std::vector<LayerReport> layers;
  std::vector<std::string> warnings;
  // The result has a head of its own though the original has not.
  bool untied_head = false;
  // Layers that an earlier run had finished.
  uint32_t num_resumed = 0;
};

// How far a run has come, for Checkpoint::notes.
struct RunNotes {
  std::vector<LayerChoice> choices;
  std::vector<std::string> warnings;
  std::vector<LayerReport> layers;
};

std::string write_notes(const RunNotes& notes);

// Errors  DATA_LOSS if it is not what write_notes() gives
Result<RunNotes> read_notes(const std::string& text);

}  // namespace tessera::quant
