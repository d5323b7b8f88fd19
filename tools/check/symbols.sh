#!/bin/sh
# usage: tools/check/symbols.sh BUILD
# The shared library shows ganvas_* alone; the static one, where nothing can be hidden, adds gv_*.
set -eu
build=$1
status=0

shown=$(nm -D --defined-only "$build/src/libganvas.so" | awk '{ print $NF }')
others=$(printf '%s\n' "$shown" | grep -v '^ganvas_' || true)
if [ -n "$others" ]; then
    printf 'libganvas.so shows:\n%s\n' "$others"
    status=1
fi
if ! printf '%s\n' "$shown" | grep -q '^ganvas_'; then
    echo 'libganvas.so shows no ganvas_ symbol at all'
    status=1
fi

# Compilers add helpers of their own (__odr_asan, .gomp): names of an implementation start so.
others=$(nm -g --defined-only "$build/src/libganvas.a" 2>/dev/null |
    awk 'NF >= 3 && $NF !~ /^(ganvas_|gv_|__|\.)/ { print $NF }')
if [ -n "$others" ]; then
    printf 'libganvas.a has global names outside ganvas_ and gv_:\n%s\n' "$others"
    status=1
fi
exit $status
