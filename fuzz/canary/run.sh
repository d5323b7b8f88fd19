#!/bin/sh
# Does the fuzzer find bugs? Plants those of src/base/canary.h one at a time and fuzzes from the
# corpus that is checked in.
#   fuzz/canary/run.sh [SECONDS] [NAME...]    at most so many for each (600); all, or JSON_1 ...
# Builds in build/fuzz-canary (clang). Exit status 1 unless every bug is found, and nothing is found
# where none is planted.
set -eu
cd "$(dirname "$0")/../.."

seconds=${1:-600}
[ $# -eq 0 ] || shift
header=src/base/canary.h
# shellcheck disable=SC2046 # one word a name
[ $# -gt 0 ] || set -- $(sed -n 's/^#define GV_CANARY_\([A-Z]*_[0-9]\) .*/\1/p' $header)

build=build/fuzz-canary
work=build/fuzz-canary-work
[ -f $build/build.ninja ] || CC=clang meson setup $build -Dfuzz=true -Dtests=false \
    -Dcore_only=true -Dthreads=pthread -Db_sanitize=address,undefined -Db_lundef=false \
    -Dc_args=-DGV_CANARY

target_of() {
    echo "${1%_*}" | tr '[:upper:]' '[:lower:]'
}

# attempt NAME NUMBER OPTIONS...: the fuzzer with that bug planted; true if it finds nothing
attempt() {
    target=$(target_of "$1")
    folder=$work/$1
    planted=$2
    shift 2
    rm -rf "$folder"
    mkdir -p "$folder/found"
    (cd "$folder" && GV_CANARY=$planted ASAN_OPTIONS=quarantine_size_mb=16 nice -n 10 \
        "../../../$build/fuzz/fuzz_$target" -seed=1 -rss_limit_mb=512 -malloc_limit_mb=64 \
        -timeout=10 -max_len=16384 -dict="../../../fuzz/dict/$target.dict" "$@" \
        found "../../../fuzz/corpus/$target" >log 2>&1)
}

programs=$(for name in "$@"; do echo "fuzz/fuzz_$(target_of "$name")"; done | sort -u)
# shellcheck disable=SC2086 # one word a program
ninja -C $build $programs >/dev/null

missed=0
for name in "$@"; do
    number=$(sed -n "s/^#define GV_CANARY_$name *\([0-9]*\) .*/\1/p" $header)
    if ! attempt "$name" 0 -runs=0; then
        echo "$name: the corpus fails without it, see $work/$name/log"
        missed=$((missed + 1))
        continue
    fi
    begin=$(date +%s)
    if attempt "$name" "$number" -max_total_time="$seconds"; then
        echo "$name: NOT FOUND in $seconds s"
        missed=$((missed + 1))
    else
        what=$(grep -hoE 'CHECK\(.*\) failed|(ERROR|SUMMARY): [A-Za-z]*Sanitizer: [a-z-]*|runtime error: .*|ERROR: libFuzzer: [a-z-]*' \
            "$work/$name/log" | head -n 1)
        echo "$name: found in $(($(date +%s) - begin)) s: $what"
    fi
done
[ $missed -eq 0 ]
