# Finds the standalone Asio, as the target asio::asio.
#
# Package managers install a CMake config with that target; Debian, as upstream, only headers.

include(FindPackageHandleStandardArgs)

if(TARGET asio::asio)
  set(asio_FOUND TRUE)
  return()
endif()

find_package(asio ${asio_FIND_VERSION} CONFIG QUIET)
if(asio_FOUND AND TARGET asio::asio)
  find_package_handle_standard_args(asio CONFIG_MODE)
  return()
endif()

find_package(Threads QUIET)
find_path(asio_INCLUDE_DIR asio.hpp)
mark_as_advanced(asio_INCLUDE_DIR)
if(asio_INCLUDE_DIR)
  file(STRINGS "${asio_INCLUDE_DIR}/asio/version.hpp" asio_VERSION REGEX "#define ASIO_VERSION ")
  string(REGEX REPLACE ".*ASIO_VERSION ([0-9]+).*" "\\1" asio_VERSION "${asio_VERSION}")
  math(EXPR asio_VERSION_MAJOR "${asio_VERSION} / 100000")
  math(EXPR asio_VERSION_MINOR "${asio_VERSION} / 100 % 1000")
  math(EXPR asio_VERSION_PATCH "${asio_VERSION} % 100")
  set(asio_VERSION ${asio_VERSION_MAJOR}.${asio_VERSION_MINOR}.${asio_VERSION_PATCH})
endif()
find_package_handle_standard_args(asio
  REQUIRED_VARS asio_INCLUDE_DIR Threads_FOUND
  VERSION_VAR asio_VERSION)

if(asio_FOUND)
  add_library(asio::asio INTERFACE IMPORTED)
  target_include_directories(asio::asio INTERFACE "${asio_INCLUDE_DIR}")
  target_link_libraries(asio::asio INTERFACE Threads::Threads)
  # Before 1.26 it looks in clang for the coroutines of the Technical Specification only.
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND asio_VERSION VERSION_LESS 1.26)
    target_compile_definitions(asio::asio INTERFACE ASIO_HAS_CO_AWAIT=1)
  endif()
endif()
