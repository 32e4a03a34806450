# SPDX-License-Identifier: Apache-2.0
#
# cmake -DFOLDER=<a project> -DNAME=<function> -DOUT=<file.cpp>
#       -P embed_project.cmake
#
# Writes the project's files as constants of the program, so that an installed
# command needs no file beside it.
file(GLOB_RECURSE paths RELATIVE ${FOLDER} ${FOLDER}/*)
list(SORT paths)
set(text "// Made from ${NAME}'s project; see embed_project.cmake.
#include \"framework/cli/new_plugin/project.hpp\"

namespace tessera::cli {

std::vector<ProjectFile> ${NAME}() {
  return {
")
foreach(path IN LISTS paths)
  # A list of lines would lose semicolons and brackets, so the file is read as
  # bytes.
  file(READ ${FOLDER}/${path} contents)
  string(APPEND text "      {\"${path}\", R\"tsr_file(${contents})tsr_file\"},\n")
endforeach()
string(APPEND text "  };\n}\n\n}  // namespace tessera::cli\n")
file(WRITE ${OUT} "${text}")
