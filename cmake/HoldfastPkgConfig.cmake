# holdfast_pkg_config(<component> LIBS ... DEFINES ... [HEADERS_ONLY]) installs holdfast-<component>.pc.
#
# It names the standard no more than others do: a program compiles with -std=c++20 or later. The
# standalone Asio and Boost are headers and have no .pc file in most distributions, so the program
# finds them itself.
function(holdfast_pkg_config component)
  cmake_parse_arguments(PARSE_ARGV 1 arg "HEADERS_ONLY" "" "LIBS;DEFINES")
  set(requires)
  set(pc_libs)
  if(NOT arg_HEADERS_ONLY)
    set(pc_libs "-L\${libdir} -lholdfast_${component}")
  endif()
  foreach(lib IN LISTS arg_LIBS)
    if(lib MATCHES "^absl::(any_invocable|inlined_vector)$")
      continue()  # headers, for which Abseil installs no .pc file
    elseif(lib MATCHES "^absl::(.*)$")
      list(APPEND requires "absl_${CMAKE_MATCH_1}")
    elseif(lib MATCHES "^holdfast_(.*)$")
      list(APPEND requires "holdfast-${CMAKE_MATCH_1} = ${PROJECT_VERSION}")
    elseif(lib STREQUAL "httplib::httplib")
      list(APPEND requires "cpp-httplib")
    elseif(lib MATCHES "^OpenSSL::")
      list(APPEND requires "openssl")
    elseif(lib STREQUAL "ZLIB::ZLIB")
      list(APPEND requires "zlib")
    elseif(lib MATCHES "^(libbrotlidec|libzstd)::")
      list(APPEND requires "${CMAKE_MATCH_1}")
    elseif(lib STREQUAL "Threads::Threads")
      string(APPEND pc_libs " -pthread")
    endif()
  endforeach()
  list(REMOVE_DUPLICATES requires)
  list(JOIN requires ", " pc_requires)
  set(pc_defines)
  foreach(define IN LISTS arg_DEFINES)
    string(APPEND pc_defines " -D${define}")
  endforeach()
  # Relative to the file itself, so that the installed tree can be moved.
  set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
  if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
    set(pc_prefix "\${pcfiledir}/${up}")
  endif()
  configure_file("${PROJECT_SOURCE_DIR}/cmake/holdfast.pc.in"
                 "${PROJECT_BINARY_DIR}/holdfast-${component}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/holdfast-${component}.pc"
          DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT holdfast-${component})
endfunction()
