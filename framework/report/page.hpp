// SPDX-License-Identifier: Apache-2.0
//
// A report as one HTML page that needs nothing else.

#pragma once

#include <span>
#include <string>

#include "framework/report/document.hpp"

namespace tessera::report {

// The page with the documents, its script, style and plotting library inside.
// Text of the documents stays text: it cannot end the element that it is in.
std::string make_page(std::span<const Document> documents);

// False if this build has no plotting library: pages then have tables alone.
bool has_plots();

}  // namespace tessera::report
