include(GNUInstallDirs)

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
  set_target_properties(${target} PROPERTIES
    EXPORT_NAME ${component}
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  if(HOLDFAST_INSTALL)
    install(TARGETS ${target} EXPORT holdfast-${component}
            INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    # One export per component, so that asking for core needs nothing that only http needs.
    install(EXPORT holdfast-${component} NAMESPACE holdfast::
            DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/holdfast)
  endif()
endfunction()
