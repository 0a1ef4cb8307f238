# The content codings of holdfast::http: HOLDFAST_CODING_SOURCES, _LIBS, and _DEFINES for the first.
# After it HOLDFAST_BROTLI and HOLDFAST_ZSTD are ON or OFF.

find_package(ZLIB)
if(NOT ZLIB_FOUND)
  message(FATAL_ERROR "holdfast::http needs zlib: install zlib1g-dev, "
                      "or configure with -DHOLDFAST_HTTP=OFF.")
endif()
set(HOLDFAST_CODING_SOURCES
  src/http/coding/content_decoder.cc
  src/http/coding/inflate.cc
  src/http/coding/part_decoder.cc)
set(HOLDFAST_CODING_LIBS ZLIB::ZLIB)
set(HOLDFAST_CODING_DEFINES)

# holdfast_coding(<name> <library> <package>) sees to the coding in src/http/coding/<name>.cc, which
# needs the library that the package has in Debian.
macro(holdfast_coding name library package)
  string(TOUPPER "${name}" upper)
  string(TOUPPER "${HOLDFAST_${upper}}" HOLDFAST_${upper})
  if(NOT HOLDFAST_${upper} MATCHES "^(AUTO|ON|OFF)$")
    message(FATAL_ERROR "HOLDFAST_${upper} is AUTO, ON or OFF, not \"${HOLDFAST_${upper}}\".")
  endif()
  if(HOLDFAST_${upper} STREQUAL "AUTO")
    find_package(${library} QUIET)
  elseif(HOLDFAST_${upper})
    find_package(${library})
    if(NOT ${library}_FOUND)
      message(FATAL_ERROR "The coding ${name} needs ${library}: install ${package} and pkg-config, "
                          "or configure with -DHOLDFAST_${upper}=OFF.")
    endif()
  endif()
  if(NOT HOLDFAST_${upper} STREQUAL "OFF" AND ${library}_FOUND)
    set(HOLDFAST_${upper} ON)
    list(APPEND HOLDFAST_CODING_SOURCES src/http/coding/${name}.cc)
    list(APPEND HOLDFAST_CODING_LIBS ${library}::${library})
    list(APPEND HOLDFAST_CODING_DEFINES HOLDFAST_HTTP_${upper}=1)
  else()
    set(HOLDFAST_${upper} OFF)
  endif()
endmacro()

holdfast_coding(brotli libbrotlidec libbrotli-dev)
holdfast_coding(zstd libzstd libzstd-dev)
