// SPDX-License-Identifier: Apache-2.0
//
// The folder that an output is made in: it keeps what is finished when a run is
// cut off, and becomes the output by one rename.

#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera::quant {

// What a run that was cut off left; `state` is what was saved.
struct SavedState {
  nlohmann::json state;
  std::vector<float> hidden;
};

// One process at a time: the folder is locked.
class PartialFolder {
 public:
  // Makes `output`.partial, or takes the one that is there.
  //
  // Errors  FAILED_PRECONDITION if it cannot be made, if another process is
  //         using it, or if a folder of that name is not one of these
  static Result<PartialFolder> open(const std::string& output);

  PartialFolder(PartialFolder&& other) noexcept;
  PartialFolder& operator=(PartialFolder&&) = delete;
  // Removes the folder unless something was saved in it.
  ~PartialFolder();

  const std::string& path() const { return path_; }
  // Whether an earlier run saved something, of whatever identity.
  bool has_state() const { return has_state_; }

  // The last state that was saved under this identity.  A crash of the machine
  // loses what save() was not told is on the disk.
  std::optional<SavedState> load(const std::string& identity) const;

  // Empties the folder.
  Status clear();

  // From now on load() gives this.  `on_disk`: all that it speaks of was
  // synced.
  Status save(const std::string& identity, const nlohmann::json& state,
              std::span<const float> hidden, bool on_disk);

  // Renames the folder to the output, without what was saved.
  Status finish();

  // Renames one file of the folder to the output, and removes the rest.
  Status finish_as(const std::string& name);

 private:
  PartialFolder(std::string output, std::string path, int lock)
      : output_(std::move(output)), path_(std::move(path)), lock_(lock) {}

  std::string output_;
  std::string path_;
  int lock_ = -1;  // the marker file, locked
  bool has_state_ = false;
};

}  // namespace tessera::quant
