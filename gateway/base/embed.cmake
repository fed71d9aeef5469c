# embed_files(TARGET NAME file …): the texts of the files as `static const struct { … } NAME[]`
# in gateway/NAME.h of the build folder; NAME_count says how many. Rebuilt when a file changes.
#
# Run as a script (-P) it writes that header; included, it defines the function. The list of files
# travels with '|' between its items: a ';' does not survive the way.
if(CMAKE_SCRIPT_MODE_FILE)
    set(body "/* Made by gateway/base/embed.cmake. */\n#pragma once\n")
    set(table "")
    set(i 0)
    string(REPLACE "|" ";" FILES "${FILES}")
    foreach(file IN LISTS FILES)
        file(READ "${file}" hex HEX)
        string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes "${hex}")
        get_filename_component(name "${file}" NAME)
        string(APPEND body "static const char ${NAME}_${i}[] = \"${bytes}\";\n")
        string(APPEND table "    {\"${name}\", ${NAME}_${i}, sizeof ${NAME}_${i} - 1},\n")
        math(EXPR i "${i} + 1")
    endforeach()
    string(APPEND body "static const struct {\n    const char *name, *text;\n    unsigned long len;\n} ${NAME}[] = {\n${table}};\n")
    string(APPEND body "enum { ${NAME}_count = ${i} };\n")
    file(WRITE "${OUT}" "${body}")
    return()
endif()

set(EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})
function(embed_files target name)
    set(out ${CMAKE_BINARY_DIR}/gateway/${name}.h)
    set(files)
    foreach(file IN LISTS ARGN)
        list(APPEND files ${CMAKE_SOURCE_DIR}/${file})
    endforeach()
    string(REPLACE ";" "|" joined "${files}")
    add_custom_command(OUTPUT ${out}
        COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DOUT=${out} "-DFILES=${joined}" -P ${EMBED_SCRIPT}
        DEPENDS ${files} ${EMBED_SCRIPT} VERBATIM)
    target_sources(${target} PRIVATE ${out})
endfunction()
