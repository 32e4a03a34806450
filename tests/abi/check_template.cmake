# SPDX-License-Identifier: Apache-2.0
#
# cmake -DBUILD=<build of Tessera> -DSOURCE=<plugins/template> -DWORK=<folder>
#       -DGENERATOR=<generator> [-DCXX_FLAGS=...] -P check_template.cmake
#
# Installs the SDK alone, builds a copy of the template against it as a vendor
# would, and checks that another major version is refused.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output
    ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${ARGN}: ${output}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --component sdk --prefix ${WORK}/sdk)

# A copy, so that nothing of this repository is beside it.
file(COPY ${SOURCE} DESTINATION ${WORK})
set(configure ${CMAKE_COMMAND} -G ${GENERATOR} -DCMAKE_PREFIX_PATH=${WORK}/sdk
  -DCMAKE_CXX_COMPILER=${CXX})
run(${configure} -S ${WORK}/template -B ${WORK}/build
  "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror \
${CXX_FLAGS}")
run(${CMAKE_COMMAND} --build ${WORK}/build)

file(READ ${WORK}/template/CMakeLists.txt text)
string(REPLACE "tessera_sdk 1.0" "tessera_sdk 2.0" text "${text}")
file(WRITE ${WORK}/template/CMakeLists.txt "${text}")
execute_process(COMMAND ${configure} -S ${WORK}/template -B ${WORK}/build_2
  RESULT_VARIABLE result ERROR_VARIABLE output OUTPUT_QUIET)
if(result EQUAL 0)
  message(FATAL_ERROR "the SDK passed for version 2.0")
endif()
string(REGEX REPLACE "[ \n]+" " " output "${output}")
if(NOT output MATCHES "compatible with requested version \"2.0\"")
  message(FATAL_ERROR "refused for another reason: ${output}")
endif()
