# SPDX-License-Identifier: Apache-2.0
#
# Writes a file's bytes as a C++ array.
#
# Usage: cmake -DFILE=... -DNAME=... -DOUT=... -P embed.cmake
# A FILE of "" gives an empty array.
set(bytes "")
if(FILE)
  file(READ "${FILE}" hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
endif()
file(WRITE "${OUT}"
  "// Generated from ${FILE}.\n"
  "#include <cstddef>\n"
  "namespace tessera::report {\n"
  "extern const unsigned char ${NAME}[];\n"
  "extern const size_t ${NAME}_bytes;\n"
  "const unsigned char ${NAME}[] = {${bytes}0};\n"
  "const size_t ${NAME}_bytes = sizeof(${NAME}) - 1;\n"
  "}  // namespace tessera::report\n")
