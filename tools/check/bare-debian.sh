#!/bin/sh
# usage: tools/check/bare-debian.sh [--keep DIR] [COMMAND...]      (as root; needs mmdebstrap)
# Makes an empty Debian 12 with git and a clone of this repository's last commit, and runs ./demo
# and ./check (or each COMMAND) there, with times. --keep keeps the root in DIR, or uses the one there.
set -eu
cd "$(dirname "$0")/../.."
keep=
if [ "${1-}" = --keep ]; then
    keep=$2
    shift 2
fi
[ $# -gt 0 ] || set -- ./demo ./check

root=${keep:-$(mktemp -d)}
# shellcheck disable=SC2317 # called by the trap
leave() {
    for mount in sys proc; do
        if mountpoint -q "$root/$mount"; then umount "$root/$mount"; fi
    done
    [ -n "$keep" ] || rm -rf --one-file-system "$root"
}
trap leave EXIT
trap 'exit 130' INT TERM

if [ ! -d "$root/usr" ]; then
    # This machine's sources and settings of apt, so that a mirror or a proxy is used there too.
    options=$(mktemp)
    apt-config dump |
        grep -E '^Acquire::(http|https|Retries|Check-|AllowInsecure)' >"$options" || true
    set_of_sources=
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
        [ ! -f "$file" ] || set_of_sources="$set_of_sources $file"
    done
    start=$(date +%s)
    # shellcheck disable=SC2086 # one word a file
    mmdebstrap --quiet --variant=minbase --include=git --aptopt="$options" \
        bookworm "$root" $set_of_sources
    rm -f "$options"
    echo "bare root: $(($(date +%s) - start)) s"
fi
cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
mountpoint -q "$root/sys" || mount -t sysfs -o ro sys "$root/sys"

rm -rf "$root/home/ganvas"
git clone -q --no-hardlinks . "$root/home/ganvas"
status=0
for command in "$@"; do
    start=$(date +%s)
    chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
        sh -c "cd /home/ganvas && $command" || status=1
    echo "$command: $(($(date +%s) - start)) s"
done
exit $status
