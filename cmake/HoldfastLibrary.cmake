include(GNUInstallDirs)
include(HoldfastPkgConfig)

# holdfast_library(<component> SOURCES ... LIBS ... DEFINES ...) adds and installs
# holdfast::<component>; without sources it is all headers.
function(holdfast_library component)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS;DEFINES")
  set(target holdfast_${component})
  if(arg_SOURCES)
    set(scope PUBLIC)
    add_library(${target} ${arg_SOURCES})
  else()
    set(scope INTERFACE)
    add_library(${target} INTERFACE)
  endif()
  add_library(holdfast::${component} ALIAS ${target})
  target_compile_features(${target} ${scope} cxx_std_20)
  target_compile_definitions(${target} ${scope} ${arg_DEFINES})
  target_include_directories(${target} ${scope} $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
  target_link_libraries(${target} ${scope} ${arg_LIBS})
  if(arg_SOURCES)
    target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}")  # "src/..."
  endif()
  # The ABI may change with every minor release before 1.0.
  # A parent's hidden visibility would leave a shared library without a symbol to link to.
  set_target_properties(${target} PROPERTIES
    CXX_VISIBILITY_PRESET default
    VISIBILITY_INLINES_HIDDEN OFF
    EXPORT_NAME ${component}
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  if(HOLDFAST_INSTALL)
    foreach(kind IN ITEMS RUNTIME LIBRARY ARCHIVE)
      list(APPEND destinations ${kind} COMPONENT holdfast-${component})
    endforeach()
    install(TARGETS ${target} EXPORT holdfast-${component} ${destinations}
            INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    # One export per component, so that asking for core needs nothing that only http needs.
    install(EXPORT holdfast-${component} NAMESPACE holdfast::
            DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/holdfast COMPONENT holdfast-${component})
    holdfast_install_headers(${component})
    set(headers_only)
    if(NOT arg_SOURCES)
      set(headers_only HEADERS_ONLY)
    endif()
    holdfast_pkg_config(${component} ${headers_only} LIBS ${arg_LIBS} DEFINES ${arg_DEFINES})
  endif()
endfunction()

# Core has the headers of all folders that are no component of their own.
function(holdfast_install_headers component)
  set(others asio http http_asio metrics metrics_http testing)
  if(component STREQUAL "core")
    set(exclude)
    foreach(other IN LISTS others)
      list(APPEND exclude REGEX "/holdfast/${other}(\\.h)?$" EXCLUDE)
    endforeach()
    install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
            COMPONENT holdfast-core ${exclude})
  else()
    set(exclude)
    if(component STREQUAL "http" AND NOT HOLDFAST_HTTPLIB)
      set(exclude REGEX "/http/httplib(_client)?\\.h$" EXCLUDE)
    endif()
    install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/holdfast/${component}"
            DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/holdfast COMPONENT holdfast-${component}
            ${exclude})
    install(FILES "${PROJECT_SOURCE_DIR}/include/holdfast/${component}.h"
            DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/holdfast COMPONENT holdfast-${component})
  endif()
endfunction()
