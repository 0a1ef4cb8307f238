# What we ask of our own code; CMAKE_COMPILE_WARNING_AS_ERROR, in the presets, makes it binding.

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Woverloaded-virtual)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # It warns inside that release's own <stop_token>.
  add_compile_options(-Wno-maybe-uninitialized)
endif()

find_program(CCACHE ccache)
mark_as_advanced(CCACHE)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CCACHE}")
endif()

# Several times as fast as the usual linker, which takes a second for each of some 170 programs.
find_program(LLD ld.lld)
mark_as_advanced(LLD)
if(LLD)
  add_link_options(-fuse-ld=lld)
endif()
