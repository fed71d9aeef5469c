# Writes IN (SQL) as `static const char SCHEMA_SQL[]` into OUT.
file(READ "${IN}" hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes "${hex}")
file(WRITE "${OUT}" "/* Made by gateway/schema.cmake. */\n#pragma once\nstatic const char SCHEMA_SQL[] = \"${bytes}\";\n")
