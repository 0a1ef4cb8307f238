# Finds the decoder of brotli, as the target libbrotlidec::libbrotlidec, by its pkg-config file.
#
# Not under the name of a package that others find, as cpp-httplib's config does, with other targets.

include(FindPackageHandleStandardArgs)

if(TARGET libbrotlidec::libbrotlidec)
  set(libbrotlidec_FOUND TRUE)
  return()
endif()

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(libbrotlidec_PC QUIET IMPORTED_TARGET libbrotlidec)
endif()
find_package_handle_standard_args(libbrotlidec
  REQUIRED_VARS libbrotlidec_PC_LINK_LIBRARIES
  VERSION_VAR libbrotlidec_PC_VERSION)

if(libbrotlidec_FOUND)
  add_library(libbrotlidec::libbrotlidec INTERFACE IMPORTED)
  target_link_libraries(libbrotlidec::libbrotlidec INTERFACE PkgConfig::libbrotlidec_PC)
endif()
