include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/holdfast)
configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/holdfastConfig.cmake.in" "${PROJECT_BINARY_DIR}/holdfastConfig.cmake"
  INSTALL_DESTINATION ${package_dir}
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/holdfastConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/holdfastConfig.cmake"
              "${PROJECT_BINARY_DIR}/holdfastConfigVersion.cmake"
        DESTINATION ${package_dir} COMPONENT holdfast-core)
if(HOLDFAST_HTTP)
  if(HOLDFAST_HTTPLIB)
    install(FILES "${PROJECT_SOURCE_DIR}/cmake/Findhttplib.cmake"
            DESTINATION ${package_dir} COMPONENT holdfast-http)
  endif()
  if(HOLDFAST_BROTLI)
    install(FILES "${PROJECT_SOURCE_DIR}/cmake/Findlibbrotlidec.cmake"
            DESTINATION ${package_dir} COMPONENT holdfast-http)
  endif()
  if(HOLDFAST_ZSTD)
    install(FILES "${PROJECT_SOURCE_DIR}/cmake/Findlibzstd.cmake"
            DESTINATION ${package_dir} COMPONENT holdfast-http)
  endif()
endif()
if(HOLDFAST_ASIO STREQUAL "ON")
  install(FILES "${PROJECT_SOURCE_DIR}/cmake/Findasio.cmake"
          DESTINATION ${package_dir} COMPONENT holdfast-asio)
endif()
