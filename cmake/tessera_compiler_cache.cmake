# SPDX-License-Identifier: Apache-2.0
#
# Compiles through ccache where it is installed, unless the caller chose a
# launcher.  The base folder makes a second checkout hit the same cache.
find_program(TSR_CCACHE ccache)
mark_as_advanced(TSR_CCACHE)
if(TSR_CCACHE)
  foreach(language C CXX)
    if(NOT DEFINED CMAKE_${language}_COMPILER_LAUNCHER)
      set(CMAKE_${language}_COMPILER_LAUNCHER
        ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}
        CCACHE_NOHASHDIR=1 ${TSR_CCACHE})
    endif()
  endforeach()
endif()
