# SPDX-License-Identifier: Apache-2.0
#
# cmake -DFILE=<a text> -DOUT=<file.cpp> -P embed_text.cmake
#
# Writes the text as a constant of the program.
file(READ ${FILE} contents)
file(WRITE ${OUT} "// Made by embed_text.cmake.
#include \"framework/bench/peers/python_peer.hpp\"

namespace tessera::bench {

std::string python_peer_text() {
  return R\"tsr_file(${contents})tsr_file\";
}

}  // namespace tessera::bench
")
