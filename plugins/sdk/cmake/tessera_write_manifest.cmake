# SPDX-License-Identifier: Apache-2.0
#
# cmake -DNAME=<name> -DABI=<major.minor> -DLIBRARY=<file.so>
#       -P tessera_write_manifest.cmake
#
# Writes <file>.json beside the library: what a host checks before it opens it.
# Neither may be writable by others, nor their folder, whatever the umask.
file(SHA256 ${LIBRARY} sha256)
string(REGEX REPLACE "\\..*" ".0" abi_min ${ABI})
get_filename_component(file ${LIBRARY} NAME)
string(REGEX REPLACE "\\.so$" ".json" manifest ${LIBRARY})
file(WRITE ${manifest}
"{
  \"format\": 1,
  \"name\": \"${NAME}\",
  \"library\": \"${file}\",
  \"abi_min\": \"${abi_min}\",
  \"abi_max\": \"${ABI}\",
  \"sha256\": \"${sha256}\"
}
")
get_filename_component(folder ${LIBRARY} DIRECTORY)
file(CHMOD ${folder} PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
  WORLD_READ WORLD_EXECUTE)
file(CHMOD ${LIBRARY} PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
  WORLD_READ WORLD_EXECUTE)
file(CHMOD ${manifest} PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
