#!/bin/sh
# Fuzzes the parsers and keeps what was learnt.
#   fuzz/run.sh SECONDS [TARGET...]    all targets, two at a time, so many seconds each
# Builds in build/fuzz (clang). What is found goes to build/fuzz-work/TARGET/crash-*; the corpora are
# minimised into fuzz/corpus. Exit status 1 if anything was found.
set -eu
cd "$(dirname "$0")/.."

seconds=${1:?seconds for each target}
shift
[ $# -gt 0 ] || set -- json npz pickle safetensors torch zip

build=build/fuzz
work=build/fuzz-work
MOST_FILES=300
MOST_BYTES=307200

[ -f $build/build.ninja ] || CC=clang meson setup $build -Dfuzz=true -Dtests=false \
    -Dcore_only=true -Dthreads=pthread -Db_sanitize=address,undefined -Db_lundef=false
programs=
for target in "$@"; do
    programs="$programs fuzz/fuzz_$target"
done
# shellcheck disable=SC2086 # one word a program
ninja -C $build $programs

# The longest input of a target: what its files need, and room to grow.
longest() {
    case $1 in
    pickle | torch) echo 16384 ;;
    *) echo 8192 ;;
    esac
}

# run TARGET OPTIONS... in its folder of work
run() {
    target=$1
    shift
    (cd "$work/$target" && ASAN_OPTIONS=quarantine_size_mb=16 nice -n 10 \
        "../../fuzz/fuzz/fuzz_$target" -rss_limit_mb=512 -malloc_limit_mb=64 -timeout=10 \
        -max_len="$(longest "$target")" "$@")
}

fuzz() {
    mkdir -p "$work/$1/found"
    run "$1" -max_total_time="$seconds" -print_final_stats=1 -use_value_profile=1 -len_control=20 \
        -dict="../../../fuzz/dict/$1.dict" found "../../../fuzz/corpus/$1" "../seeds/$1" \
        >"$work/$1/log" 2>&1 || true
}

# merge TARGET FOLDER OPTIONS...: a small set of inputs that covers what all of them cover
merge() {
    target=$1
    folder=$2
    shift 2
    rm -rf "${work:?}/$target/$folder"
    mkdir "$work/$target/$folder"
    run "$target" -set_cover_merge=1 "$@" "$folder" "../../../fuzz/corpus/$target" \
        "../seeds/$target" found >>"$work/$target/merge-log" 2>&1
}

# by_size FOLDER
by_size() {
    find "$1" -type f -printf '%s %p\n' | sort -n | cut -d ' ' -f 2
}

# The corpus becomes the inputs that together reach every edge, and, as far as the limits allow,
# those that reach them in other numbers.
keep() {
    merge "$1" edges -use_counters=0
    merge "$1" counters
    rm -rf "fuzz/corpus/$1"
    mkdir "fuzz/corpus/$1"
    count=0 bytes=0
    for file in $(by_size "$work/$1/edges") $(by_size "$work/$1/counters"); do
        name=$(basename "$file" | cut -c 1-16)
        [ ! -f "fuzz/corpus/$1/$name" ] || continue
        count=$((count + 1)) bytes=$((bytes + $(stat -c %s "$file")))
        if [ $count -gt $MOST_FILES ] || [ $bytes -gt $MOST_BYTES ]; then
            break
        fi
        cp "$file" "fuzz/corpus/$1/$name"
    done
}

python3 fuzz/make_seeds.py $work/seeds
running=0
for target in "$@"; do
    fuzz "$target" &
    running=$((running + 1))
    if [ $running -eq 2 ]; then
        wait
        running=0
    fi
done
wait

status=0
for target in "$@"; do
    keep "$target"
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$target/log")
    coverage=$(sed -n 's/^#[0-9]*\tDONE *cov: \([0-9]*\) ft: \([0-9]*\).*/\1 edges, \2 features/p' \
        "$work/$target/log")
    files=$(find "fuzz/corpus/$target" -type f | wc -l)
    printf '%-12s %12s executions, %s, %s files\n' "$target" "${executions:-?}" \
        "${coverage:-stopped early}" "$files"
    for file in "$work/$target"/crash-* "$work/$target"/oom-* "$work/$target"/timeout-* \
        "$work/$target"/leak-*; do
        [ ! -f "$file" ] || {
            echo "FOUND $file"
            status=1
        }
    done
done
exit $status
