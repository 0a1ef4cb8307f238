# cmake -D COMPILER=<c++> -D "OPTIONS=<of the compiler>" -D HEADER=<of core> -D OUTPUT=<path>
#       -P precompile.cmake
#
# Precompiles the header, so that `-include <OUTPUT>` costs next to nothing: g++ and clang look beside
# that name for <OUTPUT>.gch.
cmake_path(GET OUTPUT PARENT_PATH directory)
file(MAKE_DIRECTORY "${directory}")
execute_process(COMMAND "${COMPILER}" ${OPTIONS} -x c++-header "${HEADER}" -o "${OUTPUT}.gch"
                COMMAND_ERROR_IS_FATAL ANY)
file(WRITE "${OUTPUT}" "#include <holdfast/holdfast.h>\n")
