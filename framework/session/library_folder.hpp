// SPDX-License-Identifier: Apache-2.0
//
// Where this code lies when it is a library of another program.

#pragma once

#include <string>

namespace tessera {

// The folder of the file that holds this function: of the library, or of the
// program itself where it is linked in; "" if unknown.
std::string library_folder();

}  // namespace tessera
