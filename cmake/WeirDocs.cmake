# `ninja docs` builds the API pages with Doxygen; a warning is an error.
find_program(WEIR_DOXYGEN doxygen)
if(WEIR_DOXYGEN AND EXISTS "${CMAKE_SOURCE_DIR}/docs/Doxyfile.in")
    configure_file("${CMAKE_SOURCE_DIR}/docs/Doxyfile.in" "${CMAKE_BINARY_DIR}/Doxyfile" @ONLY)
    add_custom_target(docs COMMAND "${WEIR_DOXYGEN}" "${CMAKE_BINARY_DIR}/Doxyfile"
        WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}" COMMENT "Building the API pages" VERBATIM)
endif()
