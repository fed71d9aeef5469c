#!/bin/sh
# Includes point one way: gateway → deploybot → agents → channels → gateway/base; no part of gateway/
# but gateway/base is seen below it. And only json.c knows cJSON, only http_parse.c the HTTP parser.
cd "$(dirname "$0")/.." || exit 1
bad=0

# forbid FILES PATTERN: no file of that pathspec may include what matches
forbid() {
    found=$(git ls-files "$1" | xargs -r grep -nE "#include [\"<]($2)" /dev/null)
    if [ -n "$found" ]; then
        printf 'an include points up:\n%s\n' "$found"
        bad=1
    fi
}

for kind in c h; do
    forbid "gateway/base/*.$kind" 'channels/|agents/|deploybot/|gateway/[^b]'
    forbid "channels/*.$kind" 'agents/|deploybot/|gateway/[^b]'
    forbid "agents/*.$kind" 'deploybot/|gateway/[^b]'
    forbid "deploybot/*.$kind" 'gateway/[^b]'
done
others=$(git ls-files '*.c' '*.h' | grep -v '^gateway/base/json\.c$' | xargs grep -ln 'cJSON\.h')
[ -z "$others" ] || { echo "cJSON.h is included by $others" && bad=1; }
others=$(git ls-files '*.c' '*.h' | grep -vE '^(gateway/base/http_parse\.c|tests/bench/.*)$' | xargs grep -ln 'http_parser\.h')
[ -z "$others" ] || { echo "http_parser.h is included by $others" && bad=1; }
exit $bad
