# cmake -D INCLUDE_DIR=<include/holdfast> -P umbrellas.cmake
#
# A folder's umbrella is the header of the same name beside it; internal has none. What lies beside
# the folders is core's, and core's umbrella is holdfast.h.

function(check_umbrella umbrella)
  file(READ "${INCLUDE_DIR}/${umbrella}" text)
  foreach(header IN LISTS ARGN)
    string(FIND "${text}" "#include \"holdfast/${header}\"" at)
    if(at EQUAL -1)
      message(SEND_ERROR "holdfast/${umbrella} does not include holdfast/${header}")
    endif()
  endforeach()
endfunction()

file(GLOB core_headers RELATIVE "${INCLUDE_DIR}" "${INCLUDE_DIR}/*.h")
list(REMOVE_ITEM core_headers holdfast.h)

file(GLOB entries RELATIVE "${INCLUDE_DIR}" "${INCLUDE_DIR}/*")
foreach(entry IN LISTS entries)
  if(IS_DIRECTORY "${INCLUDE_DIR}/${entry}" AND NOT entry STREQUAL "internal")
    file(GLOB headers RELATIVE "${INCLUDE_DIR}" "${INCLUDE_DIR}/${entry}/*.h")
    check_umbrella(${entry}.h ${headers})
    list(REMOVE_ITEM core_headers ${entry}.h)
  endif()
endforeach()
check_umbrella(holdfast.h ${core_headers})
