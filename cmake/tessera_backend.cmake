# SPDX-License-Identifier: Apache-2.0
#
# tessera_backend(<name> <found> <needs>)
#
# Decides whether backends/<name> is built, from TSR_BACKEND_<NAME>:
#   AUTO  built if <found> is true, else skipped with one status line
#   ON    built; an error that names <needs> if <found> is false
#   OFF   skipped
# Sets tessera_build_<name> in the caller's scope.
function(tessera_backend name found needs)
  string(TOUPPER ${name} upper)
  set(choice ${TSR_BACKEND_${upper}})
  set(build FALSE)
  if(choice STREQUAL "OFF")
    message(STATUS "backend ${name}: off")
  elseif(found)
    set(build TRUE)
    message(STATUS "backend ${name}: on")
  elseif(choice STREQUAL "AUTO")
    message(STATUS "backend ${name}: skipped, ${needs} not found")
  else()
    message(FATAL_ERROR "backend ${name}: TSR_BACKEND_${upper}=ON needs ${needs}")
  endif()
  set(tessera_build_${name} ${build} PARENT_SCOPE)
endfunction()
