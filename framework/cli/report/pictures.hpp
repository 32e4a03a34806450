// SPDX-License-Identifier: Apache-2.0
//
// The plots of a report as files, for papers.

#pragma once

#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/report/document.hpp"

namespace tessera::cli {

struct Picture {
  std::string name;   // "roofline-cpu"
  std::string title;  // for readers
  std::string svg;    // empty where only names were asked for
};

// The plots that the documents have; `wanted` alone, or with "all" every one,
// are drawn.
//
// Errors  NOT_FOUND if there is no such plot, naming those that there are;
//         FAILED_PRECONDITION if this machine lacks what draws, naming its
//         package
Result<std::vector<Picture>> find_pictures(
    std::span<const report::Document> documents, const std::string& wanted);

// Writes one as the file's name says: .svg or .png.
//
// Errors  INVALID_ARGUMENT if it is neither; FAILED_PRECONDITION as above;
// those
//         of writing
Status write_picture(const Picture& picture, const std::string& path);

}  // namespace tessera::cli
