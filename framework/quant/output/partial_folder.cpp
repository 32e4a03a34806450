// SPDX-License-Identifier: Apache-2.0
//
// A state is a small JSON file and the hidden states it names, and takes the
// place of the one before by a rename.  What the page cache holds survives the
// process but not the machine, so a state also says in which boot it was saved;
// a second copy is kept of the last one that was synced.

#include "framework/quant/output/partial_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "framework/base/atomic_file.hpp"
#include "framework/base/mapped_file.hpp"
#include "framework/model/json_document.hpp"

namespace tessera::quant {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kMarker = "tessera.partial";
constexpr const char* kState = "state.json";
constexpr const char* kSyncedState = "synced.json";

Status failure(const std::string& path, const std::string& reason) {
  return {TSR_FAILED_PRECONDITION, fmt::format("{}: {}", path, reason)};
}

// Names one start of the machine; empty where there is no such thing.
std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

Status write_plainly(const std::string& path, std::span<const char> bytes) {
  const std::string temporary = path + ".new";
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  std::error_code code;
  if (file) fs::rename(temporary, path, code);
  if (file && !code) return {};
  return failure(path, code ? code.message() : std::strerror(errno));
}

std::optional<std::vector<float>> read_hidden(const std::string& path,
                                              uint64_t count) {
  std::vector<float> hidden(count);
  if (count == 0) return hidden;
  const auto file = MappedFile::open(path);
  if (!file.ok() || file->bytes().size() != count * sizeof(float)) {
    return std::nullopt;
  }
  std::memcpy(hidden.data(), file->bytes().data(), file->bytes().size());
  return hidden;
}

std::optional<SavedState> load_state(const std::string& folder,
                                     const char* name,
                                     const std::string& identity,
                                     bool of_this_boot) {
  auto document = read_json(folder + "/" + name);
  if (!document.ok()) return std::nullopt;
  // The library reports what is missing by throwing; then it is none of ours.
  try {
    if (document->at("identity").get<std::string>() != identity) {
      return std::nullopt;
    }
    const auto boot = document->at("boot").get<std::string>();
    if (of_this_boot && (boot.empty() || boot != boot_id())) {
      return std::nullopt;
    }
    auto hidden =
        read_hidden(folder + "/" + document->at("hidden").get<std::string>(),
                    document->at("num_hidden").get<uint64_t>());
    if (!hidden) return std::nullopt;
    return SavedState{document->at("state"), std::move(*hidden)};
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

// "<stem>3.bin", the first that is not there.
std::string free_name(const std::string& folder, const std::string& stem) {
  std::error_code code;
  uint32_t number = 0;
  std::string name;
  do {
    name = fmt::format("{}{}.bin", stem, number++);
  } while (fs::exists(folder + "/" + name, code));
  return name;
}

// The others of the names that free_name() gives.
void remove_older(const std::string& folder, const std::string& stem,
                  const std::string& kept) {
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(folder, code)) {
    const std::string name = entry.path().filename().string();
    const bool is_one =
        name.starts_with(stem) && name.size() > stem.size() &&
        std::isdigit(static_cast<unsigned char>(name[stem.size()])) != 0;
    if (is_one && name != kept) fs::remove(entry.path(), code);
  }
}

}  // namespace

Result<PartialFolder> PartialFolder::open(const std::string& output) {
  const std::string path = output + ".partial";
  const std::string marker = path + "/" + kMarker;
  std::error_code code;
  fs::create_directories(path, code);
  if (code) return failure(path, code.message());
  if (!fs::exists(marker, code) && !fs::is_empty(path, code)) {
    return failure(path, "is in the way, and is not an unfinished output");
  }
  const int lock = ::open(marker.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock < 0) return failure(marker, std::strerror(errno));
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    close(lock);
    return failure(path, "another process is writing it");
  }
  PartialFolder folder(output, path, lock);
  folder.has_state_ = fs::exists(path + "/" + kState, code) ||
                      fs::exists(path + "/" + kSyncedState, code);
  return folder;
}

PartialFolder::PartialFolder(PartialFolder&& other) noexcept
    : output_(std::move(other.output_)),
      path_(std::move(other.path_)),
      lock_(std::exchange(other.lock_, -1)),
      has_state_(other.has_state_) {}

PartialFolder::~PartialFolder() {
  if (lock_ < 0) return;
  std::error_code code;
  if (!has_state_) fs::remove_all(path_, code);
  close(lock_);
}

std::optional<SavedState> PartialFolder::load(
    const std::string& identity) const {
  auto state = load_state(path_, kState, identity, true);
  return state ? std::move(state)
               : load_state(path_, kSyncedState, identity, false);
}

Status PartialFolder::clear() {
  std::error_code code;
  has_state_ = false;
  for (const auto& entry : fs::directory_iterator(path_, code)) {
    if (entry.path().filename() == kMarker) continue;
    fs::remove_all(entry.path(), code);
    if (code) return failure(entry.path().string(), code.message());
  }
  return {};
}

Status PartialFolder::save(const std::string& identity, const json& state,
                           std::span<const float> hidden, bool on_disk) {
  // A new name each time: the state before must stay whole.
  const std::string stem = on_disk ? "hidden-synced-" : "hidden-";
  const std::string name = free_name(path_, stem);
  const json document = {{"identity", identity},
                         {"boot", boot_id()},
                         {"hidden", name},
                         {"num_hidden", hidden.size()},
                         {"state", state}};
  const std::string text =
      document.dump(-1, ' ', false, json::error_handler_t::replace);
  const std::span<const char> bytes(
      reinterpret_cast<const char*>(hidden.data()), hidden.size_bytes());
  const std::string hidden_path = path_ + "/" + name;
  if (on_disk) {
    TSR_RETURN_IF_ERROR(write_file_atomically(
        hidden_path, std::string_view(bytes.data(), bytes.size())));
    TSR_RETURN_IF_ERROR(
        write_file_atomically(path_ + "/" + kSyncedState, text));
  } else {
    if (!hidden.empty()) TSR_RETURN_IF_ERROR(write_plainly(hidden_path, bytes));
    TSR_RETURN_IF_ERROR(write_plainly(path_ + "/" + kState, text));
  }
  has_state_ = true;
  remove_older(path_, stem, name);
  return {};
}

Status PartialFolder::finish() {
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(path_, code)) {
    const std::string name = entry.path().filename().string();
    if (name == kMarker || name == kState || name == kSyncedState ||
        name.starts_with("hidden-")) {
      fs::remove(entry.path(), code);
    }
  }
  fs::rename(path_, output_, code);
  if (code) return failure(output_, code.message());
  close(std::exchange(lock_, -1));
  return {};
}

Status PartialFolder::finish_as(const std::string& name) {
  std::error_code code;
  fs::rename(path_ + "/" + name, output_, code);
  if (code) return failure(output_, code.message());
  fs::remove_all(path_, code);
  close(std::exchange(lock_, -1));
  return {};
}

}  // namespace tessera::quant
