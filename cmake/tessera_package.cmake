# SPDX-License-Identifier: Apache-2.0
#
# `cpack` in a build folder makes tessera_<version>_<machine>.deb; what it needs
# of the distribution's libraries dpkg-shlibdeps finds out.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME tessera)
set(CPACK_PACKAGE_CONTACT "The Tessera authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY
  "Runs quantized transformers across unlike hardware")
set(CPACK_PACKAGE_DESCRIPTION
  "Quantizes, plans, runs and serves transformer models on processors, OpenCL
and Vulkan devices and simulated NPUs. Each kind of hardware is a plugin
behind a stable C interface; headers for plugins, a kit that proves them and
a library for other programs are in this package too.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
# A plugin lies where the loader does not look, and needs none of ours.
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
