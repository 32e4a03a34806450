// SPDX-License-Identifier: Apache-2.0
//
// The program of peers that are Python packages: programs/python_peer.py, as
// text in the command, so that it needs no file beside it.

#pragma once

#include <string>

namespace tessera::bench {

std::string python_peer_text();

}  // namespace tessera::bench
