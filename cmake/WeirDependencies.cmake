# Everything comes from Debian packages (scripts/packages.txt, installed by scripts/setup).

find_package(PkgConfig)
find_package(Threads)
if(NOT PkgConfig_FOUND OR NOT Threads_FOUND)
    message(FATAL_ERROR "pkg-config or the C library's headers are missing: run scripts/setup")
endif()

function(weir_require TARGET MODULE)
    pkg_check_modules(${TARGET} QUIET IMPORTED_TARGET ${MODULE})
    if(NOT ${TARGET}_FOUND)
        message(FATAL_ERROR "${MODULE} was not found by pkg-config: run scripts/setup")
    endif()
    add_library(weir_dep::${TARGET} INTERFACE IMPORTED GLOBAL)
    target_link_libraries(weir_dep::${TARGET} INTERFACE PkgConfig::${TARGET})
endfunction()

weir_require(isal libisal)
weir_require(lz4 liblz4)
weir_require(zstd libzstd)
weir_require(b2 libb2)
weir_require(jansson jansson)
weir_require(ck ck)
if(WEIR_FAILPOINTS)
    weir_require(fiu libfiu)
endif()
if(WEIR_TESTS)
    weir_require(criterion criterion)
    weir_require(seccomp libseccomp)
endif()

# toml++ is header-only here: Debian's shared library is built with exceptions and lacks the symbols that
# TOML_EXCEPTIONS=0 needs. The include folder is the compiler's own, so no imported target is needed.
add_library(weir_toml INTERFACE)
target_compile_definitions(weir_toml INTERFACE TOML_HEADER_ONLY=1 TOML_EXCEPTIONS=0)
