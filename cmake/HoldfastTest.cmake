if(NOT TARGET Catch2::Catch2WithMain)
  find_package(Catch2 REQUIRED)
elseif(Catch2_SOURCE_DIR)
  list(APPEND CMAKE_MODULE_PATH "${Catch2_SOURCE_DIR}/extras")  # of a parent that builds Catch2
endif()
include(Catch)

# What makes a test one of threads: all that ThreadSanitizer need see.
set(HOLDFAST_THREADS_IN_TESTS
    "std::j?thread|support/threads\\.h|ThreadPool|std::async|httplib::(SSL)?Server|_server\\.h")

# holdfast_test(<name> SOURCES ... LIBS ...) adds the program holdfast_<name>_tests, and each test
# case in it to ctest under the label <name>. With ThreadSanitizer it has only the files that start
# threads.
function(holdfast_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
  set(sources)
  foreach(source IN LISTS arg_SOURCES)
    file(STRINGS "${source}" threads REGEX "${HOLDFAST_THREADS_IN_TESTS}" LIMIT_COUNT 1)
    if(threads OR NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize=thread")
      list(APPEND sources "${source}")
    endif()
  endforeach()
  if(NOT sources)
    return()
  endif()
  set(target holdfast_${name}_tests)
  add_executable(${target} ${sources})
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${target} PRIVATE ${arg_LIBS} Catch2::Catch2WithMain)
  # To optimize what a sanitizer adds takes the compiler three times as long. Simulations and models
  # earn that back; the others run in an instant.
  if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
    target_compile_options(${target} PRIVATE -O0)
    set(simulations ${sources})
    list(FILTER simulations INCLUDE REGEX "(world|model|property|population|simulate|metastability|threads)_test")
    set_source_files_properties(${simulations} PROPERTIES COMPILE_OPTIONS -O1)
  endif()
  # For what is stuck; the slowest takes 45 s where nothing else runs.
  catch_discover_tests(${target} TEST_PREFIX "${name}/" PROPERTIES TIMEOUT 300 LABELS ${name})
endfunction()
