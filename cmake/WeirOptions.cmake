# Options and the flags that follow from them. weir_flags is what everything is compiled with; weir_sanitize is
# what only instrumented code gets (the Criterion runners of the tsan preset go without it).

option(WEIR_WERROR "Treat warnings as errors" OFF)
option(WEIR_TESTS "Build the test runners and helper programs" ON)
option(WEIR_SHARED_LIBRARY "Build libweir.so beside libweir.a" ON)
option(WEIR_FAILPOINTS "Compile the failpoints in (libfiu)" OFF)
option(WEIR_RELEASE_BUILD "Also compile in the long tests that run in release only" OFF)
option(WEIR_COVERAGE "Instrument for gcov" OFF)
set(WEIR_SANITIZE "" CACHE STRING "Argument of -fsanitize=, empty for none")

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Debug CACHE STRING "" FORCE)
endif()

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
# One set of objects serves libweir.a and libweir.so.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")

find_program(WEIR_CCACHE ccache)
if(WEIR_CCACHE)
    set(CMAKE_C_COMPILER_LAUNCHER "${WEIR_CCACHE}")
    set(CMAKE_CXX_COMPILER_LAUNCHER "${WEIR_CCACHE}")
endif()

add_library(weir_flags INTERFACE)
target_compile_definitions(weir_flags INTERFACE _GNU_SOURCE)
target_compile_options(weir_flags INTERFACE
    -Wall -Wextra -Wpedantic -ffp-contract=off -fno-omit-frame-pointer
    $<$<BOOL:${WEIR_WERROR}>:-Werror>)
target_include_directories(weir_flags INTERFACE
    "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/core" "${CMAKE_SOURCE_DIR}/core/include")
if(WEIR_RELEASE_BUILD)
    target_compile_definitions(weir_flags INTERFACE WEIR_RELEASE_BUILD=1)
endif()
if(WEIR_FAILPOINTS)
    # FIU_ENABLE is libfiu's own switch, read by <fiu-local.h>.
    target_compile_definitions(weir_flags INTERFACE WEIR_FAILPOINTS=1 FIU_ENABLE=1)
endif()

add_library(weir_sanitize INTERFACE)
set(WEIR_SANITIZE_IS_THREAD OFF)
if(WEIR_SANITIZE)
    target_compile_options(weir_sanitize INTERFACE
        -fsanitize=${WEIR_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(weir_sanitize INTERFACE
        -fsanitize=${WEIR_SANITIZE} -fno-sanitize-recover=all)
    if(WEIR_SANITIZE MATCHES "thread")
        set(WEIR_SANITIZE_IS_THREAD ON)
    endif()
endif()
if(WEIR_COVERAGE)
    target_compile_definitions(weir_flags INTERFACE WEIR_COVERAGE=1)
    target_compile_options(weir_sanitize INTERFACE --coverage -fprofile-update=atomic)
    target_link_options(weir_sanitize INTERFACE --coverage)
endif()
