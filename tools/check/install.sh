# Read by ./check and ./demo: installs the Debian packages named that are missing.
# shellcheck shell=sh disable=SC2034 # the lists are for the reader

PACKAGES_BUILD='gcc libc6-dev meson ninja-build pkgconf zlib1g-dev libjansson-dev libdnnl-dev
    libvips-dev'
PACKAGES_CHECK="$PACKAGES_BUILD g++ clang clang-format libclang-rt-14-dev libcmocka-dev shellcheck"

# install_packages NAME...
install_packages() {
    missing=
    for package in "$@"; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0

    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            echo "Run as root, or install sudo:$missing" >&2
            return 1
        }
        as_root=sudo
    fi
    echo "Installing$missing"
    $as_root apt-get -q update
    # shellcheck disable=SC2086 # one word a package
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y install --no-install-recommends $missing
}
