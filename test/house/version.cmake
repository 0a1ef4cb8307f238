# cmake -D ROOT=<the project's directory> -D VERSION=<the project's> -P version.cmake
#
# holdfast/version.h has the version of project() in CMakeLists.txt.

file(READ "${ROOT}/include/holdfast/version.h" text)
string(REGEX MATCH "define HOLDFAST_VERSION \"([^\"]*)\"" found "${text}")
set(whole "${CMAKE_MATCH_1}")
set(parts)
foreach(part IN ITEMS MAJOR MINOR PATCH)
  string(REGEX MATCH "define HOLDFAST_VERSION_${part} ([0-9]+)" found "${text}")
  list(APPEND parts "${CMAKE_MATCH_1}")
endforeach()
list(JOIN parts "." parts)
foreach(value IN ITEMS "${whole}" "${parts}")
  if(NOT value STREQUAL VERSION)
    message(SEND_ERROR "include/holdfast/version.h says ${value}, and CMakeLists.txt ${VERSION}")
  endif()
endforeach()
