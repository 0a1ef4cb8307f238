# Compiles every ```cpp block of a Markdown file: what a README shows must work as it stands.
#
# holdfast_readme_snippets(<markdown> LIBS ... HEADERS <target>) takes each block for a whole
# translation unit and links the ones that have a main; they use the precompiled headers of <target>.

function(holdfast_readme_snippets markdown)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "HEADERS" "LIBS")
  cmake_path(GET markdown FILENAME name)
  cmake_path(GET markdown STEM LAST_ONLY prefix)
  string(TOLOWER ${prefix} prefix)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${markdown}")

  # Searched as one string: a list would come apart at every semicolon of the code.
  file(READ "${markdown}" rest)
  set(fence "\n```cpp\n")
  set(line 1)
  set(count 0)
  while(TRUE)
    string(FIND "${rest}" "${fence}" begin)
    if(begin EQUAL -1)
      break()
    endif()
    string(LENGTH "${fence}" length)
    math(EXPR begin "${begin} + ${length}")
    string(SUBSTRING "${rest}" 0 ${begin} before)
    string(SUBSTRING "${rest}" ${begin} -1 rest)
    string(FIND "${rest}" "\n```" end)
    if(end EQUAL -1)
      message(FATAL_ERROR "${name}: a block of code is not closed.")
    endif()
    string(SUBSTRING "${rest}" 0 ${end} code)
    string(SUBSTRING "${rest}" ${end} -1 rest)

    math(EXPR count "${count} + 1")
    holdfast_count_lines("${before}" lines)
    math(EXPR line "${line} + ${lines}")
    set(file "${CMAKE_CURRENT_BINARY_DIR}/${prefix}_${count}.cc")
    # The compiler then complains about the line of the README, not of a copy.
    file(WRITE "${file}.new" "#line ${line} \"${name}\"\n${code}\n")
    file(COPY_FILE "${file}.new" "${file}" ONLY_IF_DIFFERENT)
    holdfast_count_lines("${code}" lines)
    math(EXPR line "${line} + ${lines}")

    set(target holdfast_${prefix}_${count})
    if(code MATCHES "int main\\(")
      add_executable(${target} "${file}")
    else()
      add_library(${target} OBJECT "${file}")
    endif()
    target_link_libraries(${target} PRIVATE ${arg_LIBS})
    target_precompile_headers(${target} REUSE_FROM ${arg_HEADERS})
  endwhile()
endfunction()

function(holdfast_count_lines text result)
  string(REGEX MATCHALL "\n" newlines "${text}")
  list(LENGTH newlines count)
  set(${result} ${count} PARENT_SCOPE)
endfunction()
