// SPDX-License-Identifier: Apache-2.0
//
// What a sink that writes files keeps between runs: which work its unfinished
// folder belongs to, and how far that has come.

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "framework/base/status.hpp"
#include "framework/quant/output/partial_folder.hpp"
#include "framework/quant/pipeline/quantized_sink.hpp"

namespace tessera::quant {

class ResumableOutput {
 public:
  // `model` is the folder or file that is quantized, `kind` what is made of it.
  //
  // Errors  those of PartialFolder::open
  static Result<ResumableOutput> open(const std::string& output,
                                      std::string model, std::string kind);

  const std::string& path() const { return folder_.path(); }

  // Goes on from the last checkpoint if `restore` takes what state() was then,
  // and else empties the folder; num_layers tells which.  Files of the model
  // that are not as they were make another fingerprint.  `restore` may throw
  // what the JSON library throws.
  Result<Checkpoint> resume(
      const std::string& fingerprint,
      const std::function<Status(const nlohmann::json& state)>& restore);

  // The arguments of QuantizedSink::checkpoint(), and what `restore` is to get.
  // `sync` hands to the disk what `state` speaks of; it is called every half
  // minute, so that a run that is quicker does not wait for the disk.
  Status save(uint32_t num_layers, const std::string& notes,
              std::span<const float> hidden, const nlohmann::json& state,
              const std::function<Status()>& sync);

  // The folder becomes the output.
  Status finish() { return folder_.finish(); }
  // The file `name` of the folder becomes the output, in place of one that is
  // there, and the folder goes.
  Status finish_as(const std::string& name) { return folder_.finish_as(name); }

 private:
  ResumableOutput(PartialFolder folder, std::string model, std::string kind)
      : folder_(std::move(folder)),
        model_(std::move(model)),
        kind_(std::move(kind)),
        last_sync_(std::chrono::steady_clock::now()) {}

  PartialFolder folder_;
  std::string model_;
  std::string kind_;
  std::string identity_;
  std::chrono::steady_clock::time_point last_sync_;
};

}  // namespace tessera::quant
