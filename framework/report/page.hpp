// SPDX-License-Identifier: Apache-2.0
//
// A report as one HTML page that needs nothing else, and its plots alone.

#pragma once

#include <span>
#include <string>

#include "framework/report/document.hpp"

namespace tessera::report {

// The page with the documents, its script, style and plotting library inside.
// Text of the documents stays text: it cannot end the element that it is in.
std::string make_page(std::span<const Document> documents);

// A script for a JavaScript engine that is no browser.  It prints
// { "pictures": [{ name, title, svg }], "names": [...] }: of no name, pictures
// without their svg; of "all", every one.
std::string picture_script(std::span<const Document> documents,
                           std::span<const std::string> names);

// False if this build has no plotting library: pages then have tables alone.
bool has_plots();

}  // namespace tessera::report
