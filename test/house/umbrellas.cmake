# cmake -D INCLUDE_DIR=<include/holdfast> -P umbrellas.cmake
#
# A folder's umbrella is the header of the same name beside it; beside the folders lie only
# these, holdfast.h and version.h.
# Core's umbrella, holdfast.h, includes those of its folders.

cmake_minimum_required(VERSION 3.25)

set(components asio http http_asio metrics metrics_http testing)  # the folders that have a component, and so an umbrella, of their own

function(check_umbrella umbrella)
  if(NOT EXISTS "${INCLUDE_DIR}/${umbrella}")
    message(SEND_ERROR "there is no holdfast/${umbrella}")
    return()
  endif()
  file(READ "${INCLUDE_DIR}/${umbrella}" text)
  foreach(header IN LISTS ARGN)
    string(FIND "${text}" "#include \"holdfast/${header}\"" at)
    if(at EQUAL -1)
      message(SEND_ERROR "holdfast/${umbrella} does not include holdfast/${header}")
    endif()
  endforeach()
endfunction()

file(GLOB beside RELATIVE "${INCLUDE_DIR}" "${INCLUDE_DIR}/*.h")
list(REMOVE_ITEM beside holdfast.h version.h)
set(of_core version.h)
file(GLOB entries RELATIVE "${INCLUDE_DIR}" "${INCLUDE_DIR}/*")
foreach(entry IN LISTS entries)
  if(IS_DIRECTORY "${INCLUDE_DIR}/${entry}")
    file(GLOB headers RELATIVE "${INCLUDE_DIR}"
         "${INCLUDE_DIR}/${entry}/*.h" "${INCLUDE_DIR}/${entry}/wire/*.h")
    # Who has another library includes these.
    list(REMOVE_ITEM headers http/httplib.h http/httplib_client.h
                             metrics/opentelemetry.h metrics/opentelemetry_tracer.h
                             metrics/prometheus_cpp.h)
    check_umbrella(${entry}.h ${headers})
    list(REMOVE_ITEM beside ${entry}.h)
    if(NOT entry IN_LIST components)
      list(APPEND of_core ${entry}.h)
    endif()
  endif()
endforeach()
check_umbrella(holdfast.h ${of_core})
foreach(header IN LISTS beside)
  message(SEND_ERROR "holdfast/${header} is in no folder, and the umbrella of none")
endforeach()
