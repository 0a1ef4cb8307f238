# Finds Zstandard, as the target libzstd::libzstd, by its pkg-config file.
#
# Not as upstream's config, whose targets have changed their names from version to version.

include(FindPackageHandleStandardArgs)

if(TARGET libzstd::libzstd)
  set(libzstd_FOUND TRUE)
  return()
endif()

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(libzstd_PC QUIET IMPORTED_TARGET libzstd)
endif()
find_package_handle_standard_args(libzstd
  REQUIRED_VARS libzstd_PC_LINK_LIBRARIES
  VERSION_VAR libzstd_PC_VERSION)

if(libzstd_FOUND)
  add_library(libzstd::libzstd INTERFACE IMPORTED)
  target_link_libraries(libzstd::libzstd INTERFACE PkgConfig::libzstd_PC)
endif()
