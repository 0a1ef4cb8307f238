include(GNUInstallDirs)

# holdfast_library(<component> SOURCES ... LIBS ...) adds and installs holdfast::<component>.
function(holdfast_library component)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
  set(target holdfast_${component})
  add_library(${target} ${arg_SOURCES})
  add_library(holdfast::${component} ALIAS ${target})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
  target_link_libraries(${target} PUBLIC ${arg_LIBS})
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
