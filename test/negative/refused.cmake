# cmake -D COMPILER=<c++> -D "OPTIONS=<of the compiler>" -D SOURCE=<file.cc> -P refused.cmake
#
# Where the options include a precompiled header, precompile.cmake makes it first.
#
# The source compiles as it is; with WRONG_ORDER defined it does not, and the compiler says what the
# comment that the source opens with has after "refused: ".

function(compile result output)
  execute_process(COMMAND "${COMPILER}" ${OPTIONS} -fsyntax-only ${ARGN} "${SOURCE}"
                  RESULT_VARIABLE code OUTPUT_VARIABLE text ERROR_VARIABLE text)
  set(${result} "${code}" PARENT_SCOPE)
  set(${output} "${text}" PARENT_SCOPE)
endfunction()

file(READ "${SOURCE}" text)
if(NOT text MATCHES "^// refused: ([^\n]+(\n// [^\n]+)*)\n")
  message(FATAL_ERROR "the source does not open with how it is refused")
endif()
string(REPLACE "\n// " " " sentence "${CMAKE_MATCH_1}")

compile(code output)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "the right order does not compile:\n${output}")
endif()
compile(code output -DWRONG_ORDER)
if(code EQUAL 0)
  message(FATAL_ERROR "the wrong order compiles")
endif()
string(FIND "${output}" "${sentence}" at)
if(at EQUAL -1)
  message(FATAL_ERROR "the compiler does not say \"${sentence}\":\n${output}")
endif()
