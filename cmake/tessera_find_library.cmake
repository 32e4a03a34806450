# tessera_find_library(<name> <header> <library> <package>)
#
# The target tessera_<name>, or one error that names the distribution's package.
function(tessera_find_library name header library package)
  find_path(TSR_${name}_INCLUDE ${header})
  find_library(TSR_${name}_LIBRARY ${library})
  mark_as_advanced(TSR_${name}_INCLUDE TSR_${name}_LIBRARY)
  if(NOT TSR_${name}_INCLUDE OR NOT TSR_${name}_LIBRARY)
    message(FATAL_ERROR "Tessera needs ${package}")
  endif()
  add_library(tessera_${name} INTERFACE)
  target_include_directories(tessera_${name} SYSTEM INTERFACE
    ${TSR_${name}_INCLUDE})
  target_link_libraries(tessera_${name} INTERFACE ${TSR_${name}_LIBRARY})
endfunction()
