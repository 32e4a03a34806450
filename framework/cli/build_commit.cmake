# SPDX-License-Identifier: Apache-2.0
#
# cmake -DROOT=folder -DOUT=file -P build_commit.cmake
#
# Writes OUT, a source file with the commit of ROOT, unless it says so already.
set(commit)
execute_process(
  COMMAND git -C ${ROOT} describe --always --dirty --abbrev=12 --exclude=*
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE
  ERROR_QUIET RESULT_VARIABLE failed)
if(failed OR NOT commit MATCHES "^[0-9a-f]+(-dirty)?$")
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT [[
#include "framework/cli/build_commit.hpp"

std::string tessera::cli::build_commit() { return "@commit@"; }
]] @ONLY)
