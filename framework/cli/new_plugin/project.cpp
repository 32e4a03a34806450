// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/new_plugin/project.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cctype>
#include <filesystem>
#include <system_error>

#include "framework/base/atomic_file.hpp"

namespace tessera::cli {
namespace {

constexpr size_t kMaxName = 32;

bool is_word_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

// my_npu -> MyNpu
std::string class_name(const std::string& name) {
  std::string text;
  bool starts = true;
  for (const char c : name) {
    if (c == '_') {
      starts = true;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    text += starts ? static_cast<char>(std::toupper(byte)) : c;
    starts = false;
  }
  return text;
}

// Every `was` that no letter or digit touches in front; a class name may go on
// behind.
std::string replaced(const std::string& text, const std::string& was,
                     const std::string& now, bool is_prefix) {
  std::string out;
  size_t at = 0;
  while (true) {
    const size_t found = text.find(was, at);
    if (found == std::string::npos) break;
    const size_t end = found + was.size();
    const bool starts = found == 0 || !is_word_char(text[found - 1]);
    const bool ends = end == text.size() || !is_word_char(text[end]);
    out.append(text, at, found - at);
    out += starts && (ends || is_prefix) ? now : was;
    at = end;
  }
  return out.append(text, at);
}

Status make_folder(const std::filesystem::path& folder) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (!code) return {};
  return {TSR_FAILED_PRECONDITION,
          fmt::format("{}: {}", folder.string(), code.message())};
}

Status write_files(const std::filesystem::path& folder,
                   const std::vector<ProjectFile>& project) {
  for (const ProjectFile& file : project) {
    const std::filesystem::path path = folder / file.path;
    TSR_RETURN_IF_ERROR(make_folder(path.parent_path()));
    TSR_RETURN_IF_ERROR(write_file_atomically(path.string(), file.text));
  }
  return {};
}

}  // namespace

Status check_plugin_name(const std::string& name) {
  bool good = !name.empty() && name.size() <= kMaxName &&
              std::islower(static_cast<unsigned char>(name[0])) != 0 &&
              name.back() != '_';
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    good = good &&
           (c == '_' || std::islower(byte) != 0 || std::isdigit(byte) != 0);
  }
  if (good) return {};
  return {TSR_INVALID_ARGUMENT,
          fmt::format("{} cannot name a plugin: take up to {} lower-case "
                      "letters, digits and underscores, a letter first",
                      name, kMaxName)};
}

std::vector<ProjectFile> renamed(std::vector<ProjectFile> project,
                                 const std::string& was,
                                 const std::string& name) {
  for (ProjectFile& file : project) {
    file.text = replaced(file.text, was, name, false);
    file.text = replaced(file.text, class_name(was), class_name(name), true);
  }
  return project;
}

Status write_project(const std::string& folder,
                     const std::vector<ProjectFile>& project) {
  const std::filesystem::path target =
      std::filesystem::path(folder).lexically_normal();
  std::error_code code;
  if (std::filesystem::exists(target, code)) {
    return {TSR_FAILED_PRECONDITION,
            folder + " is there already: choose another folder with -o"};
  }
  const std::filesystem::path partial =
      fmt::format("{}.partial.{}", target.string(), getpid());
  Status status = write_files(partial, project);
  if (status.ok()) {
    std::filesystem::rename(partial, target, code);
    if (code) {
      status = Status(TSR_FAILED_PRECONDITION,
                      fmt::format("{}: {}", folder, code.message()));
    }
  }
  if (!status.ok()) std::filesystem::remove_all(partial, code);
  return status;
}

}  // namespace tessera::cli
