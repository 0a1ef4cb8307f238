# The adapter of holdfast::http to cpp-httplib: HOLDFAST_HTTPLIB_SOURCES and _LIBS. After it
# HOLDFAST_HTTPLIB is ON or OFF.

string(TOUPPER "${HOLDFAST_HTTPLIB}" HOLDFAST_HTTPLIB)
if(NOT HOLDFAST_HTTPLIB MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "HOLDFAST_HTTPLIB is AUTO, ON or OFF, not \"${HOLDFAST_HTTPLIB}\".")
endif()
if(HOLDFAST_HTTPLIB STREQUAL "AUTO")
  find_package(httplib QUIET)
elseif(HOLDFAST_HTTPLIB)
  find_package(httplib)
  if(NOT httplib_FOUND)
    message(FATAL_ERROR "The adapter to cpp-httplib needs it: install libcpp-httplib-dev and "
                        "pkg-config, or configure with -DHOLDFAST_HTTPLIB=OFF.")
  endif()
endif()
set(HOLDFAST_HTTPLIB_SOURCES)
set(HOLDFAST_HTTPLIB_LIBS)
if(NOT HOLDFAST_HTTPLIB STREQUAL "OFF" AND httplib_FOUND)
  set(HOLDFAST_HTTPLIB ON)
  set(HOLDFAST_HTTPLIB_SOURCES
    src/http/httplib/client.cc
    src/http/httplib/error.cc
    src/http/httplib/message.cc
    src/http/httplib/multipart.cc
    src/http/httplib/traits.cc)
  set(HOLDFAST_HTTPLIB_LIBS httplib::httplib)
else()
  set(HOLDFAST_HTTPLIB OFF)
endif()
