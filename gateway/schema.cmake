# Writes the SQL files of IN (a comma between two), one migration each, as an array MIGRATIONS into OUT.
string(REPLACE "," ";" files "${IN}")
set(text "/* Made by gateway/schema.cmake. */\n#pragma once\nstatic const char *const MIGRATIONS[] = {\n")
foreach(file IN LISTS files)
    file(READ "${file}" hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes "${hex}")
    string(APPEND text "    \"${bytes}\",\n")
endforeach()
file(WRITE "${OUT}" "${text}};\n")
