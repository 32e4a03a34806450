// SPDX-License-Identifier: Apache-2.0
//
// The model that is meant when none is named.

#pragma once

#include <string>

#include "framework/base/status.hpp"

namespace tessera {

// The folder of tessera-5m: beside the executable in an installation, else in
// the source tree that this program was built from.
// Errors: NOT_FOUND, naming both places.
Result<std::string> default_model_folder();

}  // namespace tessera
