#!/bin/sh
# check_style.sh BUILD: what no compiler checks. Banned calls, goto, default over our own enums,
# typedef'd structs, logging below gateway/, formatting, headers that compile alone, and that the pure
# libraries need nothing of the world outside: no time, random, environment, files, sockets, threads.
cd "$(dirname "$0")/.." || exit 1
build=${1:-build/debug}
bad=0
ours=$(git ls-files '*.c' '*.h' | grep -v '^tests/')

# forbid WHY PATTERN [FILES]
forbid() {
    found=$(printf '%s\n' ${3:-$ours} | xargs grep -nE "$2" /dev/null)
    if [ -n "$found" ]; then
        printf '%s:\n%s\n' "$1" "$found"
        bad=1
    fi
}

forbid "banned call" '(^|[^a-z_])(strcpy|strcat|strncpy|sprintf|vsprintf|strtok|atoi|atol|strtol|gmtime|localtime|rand|system|popen|gets|alloca)\('
forbid "goto" '(^|[^a-z_"])goto [a-z_]+;'
forbid "typedef'd struct" 'typedef (struct|enum|union)'
forbid "left-over mark" '\b(TODO|FIXME|XXX)\b'
pure=$(printf '%s\n' "$ours" | grep -E '^(channels|agents|deploybot)/')
forbid "a log call below gateway/" 'log_(debug|info|warn|error)\(' "$pure"
# A default label is for foreign enums and types only: a comment on its line says whose.
forbid "a default over our own enum" '^ *default:$' "$pure"

if ! printf '%s\n' $ours $(git ls-files 'tests/*.c' 'tests/*.h') | xargs clang-format --dry-run -Werror 2>build/format.log; then
    head -20 build/format.log
    bad=1
fi

for header in $(printf '%s\n' "$ours" | grep '\.h$'); do
    echo "#include \"$header\"" |
        gcc -std=gnu17 -D_GNU_SOURCE -I. -I"$build" $(pkg-config --cflags glib-2.0 libcurl) -Wall -Werror \
            -fsyntax-only -x c - 2>build/header.log || {
        echo "$header does not compile alone:" && head -5 build/header.log
        bad=1
    }
done

# Everything that the pure libraries need from outside.
world='^(time|clock_gettime|gettimeofday|random|rand|getrandom|getenv|secure_getenv|open|openat|fopen|socket|connect|bind|send|recv|poll|select|epoll_.*|pthread_.*|fork|execve?|posix_spawn.*|sleep|usleep|nanosleep|RAND_bytes|printf|fprintf|puts|write|read)$'
for library in channels agents deploybot; do
    found=$(nm -u "$build/$library/lib$library.a" 2>/dev/null | awk '/ U /{print $2}' | sed 's/@.*//; s/^__isoc99_//; s/^__//; s/_chk$//' | sort -u | grep -E "$world")
    if [ -n "$found" ]; then
        printf 'lib%s.a is to be pure, but needs: %s\n' "$library" "$(echo $found)"
        bad=1
    fi
    [ -f "$build/$library/lib$library.a" ] || { echo "no lib$library.a in $build" && bad=1; }
done
exit $bad
