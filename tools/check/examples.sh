#!/bin/sh
# usage: tools/check/examples.sh BUILD
# Installs into a scratch folder and compiles every example against that, as a user would: as C and
# as C++, with the shared and with the static library.
set -eu
build=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

meson install -C "$build" --no-rebuild --quiet --destdir "$scratch"
pc=$(find "$scratch" -name ganvas.pc)
[ -n "$pc" ] || { echo 'no ganvas.pc was installed'; exit 1; }
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
prefix=$(pkg-config --variable=prefix ganvas)
libdir=$(pkg-config --variable=libdir ganvas)

# The file names the final place; the scratch folder stands before it.
flags() {
    pkg-config "$@" ganvas | sed "s|-I$prefix|-I$scratch$prefix|g; s|-L$libdir|-L$scratch$libdir|g"
}

[ -f "$scratch$libdir/libganvas.a" ] || { echo 'no libganvas.a was installed'; exit 1; }
count=0
for source in examples/*.c; do
    [ -f "$source" ] || break
    name=$(basename "$source" .c)
    for language in c c++; do
        compiler=cc standard=c17
        [ $language = c ] || { compiler=c++ standard=c++17; }
        # shellcheck disable=SC2046 # the flags are words
        $compiler -x $language -std=$standard -Wall -Wextra -Werror -pedantic "$source" -x none \
            -o "$scratch/$name.$language" $(flags --cflags) $(flags --libs)
        # shellcheck disable=SC2046
        $compiler -x $language -std=$standard "$source" -x none -o "$scratch/$name.$language.static" \
            $(flags --cflags) "$scratch$libdir/libganvas.a" \
            $(flags --static --libs | sed 's/-lganvas\>//')
        count=$((count + 1))
    done
done
[ $count -gt 0 ] || { echo 'there are no examples'; exit 1; }
