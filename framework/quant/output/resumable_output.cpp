// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/output/resumable_output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "framework/base/log.hpp"

namespace tessera::quant {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A machine that stops loses at most this much work.
constexpr std::chrono::seconds kSyncEvery{30};

// Names, sizes and times of a model's files, or of the one file.
std::string stamp_of(const std::string& model) {
  std::error_code code;
  std::vector<std::string> lines;
  const auto add = [&](const fs::path& path) {
    lines.push_back(fmt::format(
        "{} {} {}", path.filename().string(), fs::file_size(path, code),
        fs::last_write_time(path, code).time_since_epoch().count()));
  };
  if (fs::is_regular_file(model, code)) add(model);
  for (const auto& entry : fs::directory_iterator(model, code)) {
    if (entry.is_regular_file(code)) add(entry.path());
  }
  std::sort(lines.begin(), lines.end());
  std::string stamp = fs::absolute(model, code).string();
  for (const std::string& line : lines) stamp += "\n" + line;
  return stamp;
}

}  // namespace

Result<ResumableOutput> ResumableOutput::open(const std::string& output,
                                              std::string model,
                                              std::string kind) {
  TSR_ASSIGN_OR_RETURN(PartialFolder folder, PartialFolder::open(output));
  return ResumableOutput(std::move(folder), std::move(model), std::move(kind));
}

Result<Checkpoint> ResumableOutput::resume(
    const std::string& fingerprint,
    const std::function<Status(const json& state)>& restore) {
  identity_ = fmt::format("{}\n{}\n{}", kind_, fingerprint, stamp_of(model_));
  if (auto saved = folder_.load(identity_)) {
    // The library reports what is missing by throwing; then all is done anew.
    try {
      if (restore(saved->state.at("sink")).ok()) {
        return Checkpoint{saved->state.at("num_layers").get<uint32_t>(),
                          saved->state.at("notes").get<std::string>(),
                          std::move(saved->hidden)};
      }
    } catch (const json::exception& error) {
      log(TSR_LOG_WARNING, fmt::format("{}: {}", path(), error.what()));
    }
  }
  if (folder_.has_state()) {
    log(TSR_LOG_WARNING,
        fmt::format("{} is of another model, recipe or calibration: starting "
                    "afresh",
                    path()));
  }
  TSR_RETURN_IF_ERROR(folder_.clear());
  return Checkpoint{};
}

Status ResumableOutput::save(uint32_t num_layers, const std::string& notes,
                             std::span<const float> hidden, const json& state,
                             const std::function<Status()>& sync) {
  const json whole = {
      {"num_layers", num_layers}, {"notes", notes}, {"sink", state}};
  const auto now = std::chrono::steady_clock::now();
  if (now - last_sync_ >= kSyncEvery) {
    TSR_RETURN_IF_ERROR(sync());
    TSR_RETURN_IF_ERROR(folder_.save(identity_, whole, hidden, true));
    last_sync_ = std::chrono::steady_clock::now();
  }
  return folder_.save(identity_, whole, hidden, false);
}

}  // namespace tessera::quant
