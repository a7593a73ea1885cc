# cmake -DFROM=<build>/lib/weir_nif.so -DTO=<app>/priv -P install_nif.cmake
#
# Installs the NIF under a name that carries the digest of its contents, then points weir_nif.current at it; both by
# rename. A virtual machine that has the old file mapped keeps it, and one that loads meanwhile finds either whole file.
# The file installed before stays for those who read the pointer a moment ago; older ones go.
if(NOT EXISTS "${FROM}" OR NOT TO)
    message(FATAL_ERROR "usage: cmake -DFROM=<weir_nif.so> -DTO=<priv folder> -P install_nif.cmake")
endif()
file(SHA256 "${FROM}" digest)
string(SUBSTRING "${digest}" 0 16 digest)
set(name "weir_nif-${digest}")
set(pointer "${TO}/weir_nif.current")

set(before "")
if(EXISTS "${pointer}")
    file(STRINGS "${pointer}" before LIMIT_COUNT 1)
endif()
if(before STREQUAL name AND EXISTS "${TO}/${name}.so")
    return()
endif()

file(MAKE_DIRECTORY "${TO}")
string(RANDOM LENGTH 12 unique)
file(COPY_FILE "${FROM}" "${TO}/${name}.${unique}.part")
file(RENAME "${TO}/${name}.${unique}.part" "${TO}/${name}.so")
file(WRITE "${pointer}.${unique}.part" "${name}\n")
file(RENAME "${pointer}.${unique}.part" "${pointer}")

file(GLOB installed "${TO}/weir_nif-*.so")
foreach(file IN LISTS installed)
    get_filename_component(stem "${file}" NAME_WE)
    if(NOT stem STREQUAL name AND NOT stem STREQUAL before)
        file(REMOVE "${file}")
    endif()
endforeach()
