find_package(Catch2 REQUIRED)
include(Catch)

# What makes a file one of threads, which is all that ThreadSanitizer need see, and what makes it one
# that simulates for long.
set(HOLDFAST_THREADS_IN_TESTS
    "std::j?thread|support/threads\\.h|ThreadPool|std::async|httplib::(SSL)?Server|_server\\.h")
set(HOLDFAST_SLOW_TESTS "(world|storm|population|simulate|metastability)_test")

# Without a try block for each assertion: what one throws fails its test case all the same.
set(HOLDFAST_TEST_OPTIONS -DCATCH_CONFIG_FAST_COMPILE)
# To optimize what a sanitizer adds takes the compiler three times as long. Simulations and models earn
# that back; the others run in an instant.
if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  list(APPEND HOLDFAST_TEST_OPTIONS -O0)
endif()

# Few, since who works on a test waits for all of them.
set(HOLDFAST_TEST_BATCH 5 CACHE STRING "How many sources of a program of tests a unity build takes at once")
mark_as_advanced(HOLDFAST_TEST_BATCH)

# What nearly every test includes, but for our own headers, parsed once: a third of the time that most
# of them take.
function(holdfast_test_headers)
  if(NOT TARGET holdfast_test_headers)
    file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/test_headers.cc" CONTENT "" @ONLY)
    add_library(holdfast_test_headers OBJECT "${CMAKE_BINARY_DIR}/test_headers.cc")
    target_include_directories(holdfast_test_headers PRIVATE "${PROJECT_SOURCE_DIR}")
    target_link_libraries(holdfast_test_headers PRIVATE holdfast::core Catch2::Catch2)
    target_compile_options(holdfast_test_headers PRIVATE ${HOLDFAST_TEST_OPTIONS})
    target_precompile_headers(holdfast_test_headers PRIVATE
      <absl/status/status.h> <absl/status/statusor.h> <absl/strings/str_cat.h> <algorithm> <chrono>
      <functional> <future> <map> <memory> <mutex> <optional> <random> <string> <thread> <tuple>
      <vector> "${PROJECT_SOURCE_DIR}/test/support/catch.h")
  endif()
endfunction()

# holdfast_test(<name> SOURCES ... LIBS ...) adds the program holdfast_<name>_tests, and each test
# case in it to ctest under the label <name>; those of files that start threads under `threads` too,
# and those that simulate for long under `slow`. With ThreadSanitizer it has only those of threads.
function(holdfast_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
  set(sources)
  set(slow)
  set(threads)
  set(others)
  foreach(source IN LISTS arg_SOURCES)
    file(STRINGS "${source}" starts_threads REGEX "${HOLDFAST_THREADS_IN_TESTS}" LIMIT_COUNT 1)
    if(CMAKE_CXX_FLAGS MATCHES "-fsanitize=thread" AND NOT starts_threads)
      continue()
    endif()
    list(APPEND sources "${source}")
    cmake_path(GET source STEM stem)
    if(NOT stem MATCHES "_test$")
      continue()
    elseif(stem MATCHES "${HOLDFAST_SLOW_TESTS}")
      list(APPEND slow "[#${stem}]")
    elseif(starts_threads)
      list(APPEND threads "[#${stem}]")
    else()
      list(APPEND others "[#${stem}]")
    endif()
  endforeach()
  if(NOT sources)
    return()
  endif()
  set(target holdfast_${name}_tests)
  add_executable(${target} ${sources})
  # Each has a namespace of its own.
  set_target_properties(${target} PROPERTIES UNITY_BUILD "${HOLDFAST_UNITY_TESTS}"
                                             UNITY_BUILD_BATCH_SIZE "${HOLDFAST_TEST_BATCH}")
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${target} PRIVATE ${arg_LIBS} Catch2::Catch2WithMain)
  holdfast_test_headers()
  target_precompile_headers(${target} REUSE_FROM holdfast_test_headers)
  target_compile_options(${target} PRIVATE ${HOLDFAST_TEST_OPTIONS})
  if(CMAKE_CXX_FLAGS MATCHES "-fsanitize" AND NOT name MATCHES "^asio")
    set(simulations ${sources})
    list(FILTER simulations INCLUDE REGEX "(world|model|property|population|simulate|metastability|threads)_test")
    set_source_files_properties(${simulations} PROPERTIES COMPILE_OPTIONS -O1
                                                          SKIP_PRECOMPILE_HEADERS ON)
  endif()
  # The timeouts are for what is stuck: where nothing else runs the slowest takes 45 s.
  foreach(kind IN ITEMS slow threads others)
    if(${kind})
      list(JOIN ${kind} "," files)
      catch_discover_tests(${target} TEST_SPEC "-#" "${files}" TEST_PREFIX "${name}/"
                           TEST_LIST ${target}_${kind} PROPERTIES TIMEOUT 300 LABELS ${name})
      if(NOT kind STREQUAL "others")
        set(timeout 300)
        if(kind STREQUAL "slow")
          set(timeout 900)
        endif()
        set(labels "${CMAKE_CURRENT_BINARY_DIR}/${target}_${kind}.cmake")
        file(WRITE "${labels}"
             "set_tests_properties(\${${target}_${kind}}\n"
             "                     PROPERTIES TIMEOUT ${timeout} LABELS \"${name};${kind}\")\n")
        set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${labels}")
      endif()
    endif()
  endforeach()
endfunction()
