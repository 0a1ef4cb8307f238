# Finds cpp-httplib, as the target httplib::httplib.
#
# Upstream installs a CMake config, Debian only a pkg-config file. Debian's library is compiled with
# OpenSSL, zlib and brotli, and its classes have another size without the definitions in that file:
# a program that forgets them links, and crashes. So they are part of the target.

include(FindPackageHandleStandardArgs)

if(TARGET httplib::httplib)
  set(httplib_FOUND TRUE)
  return()
endif()

find_package(httplib CONFIG QUIET)
if(httplib_FOUND)
  find_package_handle_standard_args(httplib CONFIG_MODE)
  return()
endif()

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(httplib_PC QUIET IMPORTED_TARGET cpp-httplib)
endif()
find_package_handle_standard_args(httplib
  REQUIRED_VARS httplib_PC_LINK_LIBRARIES
  VERSION_VAR httplib_PC_VERSION)

if(httplib_FOUND)
  # Not an alias: an alias would be installed under the name of what it stands for.
  add_library(httplib::httplib INTERFACE IMPORTED)
  target_link_libraries(httplib::httplib INTERFACE PkgConfig::httplib_PC)
endif()
