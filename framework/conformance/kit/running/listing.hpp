// SPDX-License-Identifier: Apache-2.0
//
// What a library says of itself, read by a child: the process that holds it
// never loads the library.

#pragma once

#include <memory>
#include <string>

#include "framework/base/status.hpp"
#include "framework/conformance/kit/cases.hpp"
#include "framework/conformance/kit/running/report.hpp"
#include "framework/host/remote/wire_structs.hpp"

namespace tessera::conformance {

struct Listing {
  // "L0/load": whether the rest holds.  Passes if cases can be made from it.
  CaseResult load;
  std::string plugin;  // its name
  std::string version;
  std::string build_id;
  CertifiedDevice subject;
  bool has_fixed_pipe = false;
  std::unique_ptr<WireFacts> facts;  // rows without those of a later ABI
};

// Requires  this process has one thread, and has not loaded the library
// Errors    RESOURCE_EXHAUSTED if no child can be made.  Whatever the library
//           does is a result, not an error.
Result<Listing> list_library(const KitOptions& options);

}  // namespace tessera::conformance
