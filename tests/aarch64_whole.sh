#!/bin/bash
#
# aarch64_whole.sh -- builds the whole program for ARMv8, warnings being errors, and runs the unit
# tests of its cores under qemu-user: nothing in the code assumes x86.
#
#     tests/aarch64_whole.sh packages     fetches the libraries, if they are not here; fails when
#                                         Debian's arm64 packages are not to be had
#     tests/aarch64_whole.sh [JOBS]       builds and tests with them
#
# The libraries are unpacked below build/aarch64/root by an apt with folders of its own: nothing is
# installed, and the machine's list of architectures stays as it is.
set -eu
cd "$(dirname "$0")/.."
. tools/debian.sh
BUILD=$PWD/build/aarch64
export PREON_SYSROOT=$BUILD/root

packages()
{
    local apt=$BUILD/apt libraries
    local options=(-qq -o APT::Architecture=arm64 -o APT::Architectures=arm64
        -o APT::Sandbox::User=root -o Debug::NoLocking=1 -o Dir::State="$apt/state"
        -o Dir::Cache="$apt/cache" -o Dir::State::status="$apt/status")
    [ -e "$BUILD/unpacked" ] && return 0
    mapfile -t libraries < <(printf '%s\n' "${PREON_BUILD_PACKAGES[@]}" libcmocka-dev |
        grep -E '^lib.*-dev$|^zlib1g-dev$')
    rm -rf "$apt" "$PREON_SYSROOT"
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$PREON_SYSROOT"
    : >"$apt/status"
    apt-get "${options[@]}" update
    apt-get "${options[@]}" -y --download-only --no-install-recommends install "${libraries[@]}"
    for package in "$apt"/cache/archives/*.deb; do
        dpkg-deb -x "$package" "$PREON_SYSROOT"
    done
    rm -rf "$apt"
    : >"$BUILD/unpacked"
}

whole()
{
    local cores
    cmake -S . -B "$BUILD" -G Ninja -DCMAKE_TOOLCHAIN_FILE=tests/aarch64.cmake -DPREON_WERROR=ON \
        -DCMAKE_BUILD_TYPE=RelWithDebInfo
    mapfile -t cores < <(basename -s .c tests/unit/test_*.c | grep -Ev '_(uv|sys)$')
    cmake --build "$BUILD" -j "$1" --target preon launcher nonce_program mandelbrot_program \
        "${cores[@]}"
    qemu-aarch64 -L "$PREON_SYSROOT" "$BUILD/preon" --version
    # A million hashes of each kernel take minutes here; test_nonce_kernel compares fewer.
    ctest --test-dir "$BUILD" -j "$1" --no-tests=error --output-on-failure -R '^unit/' \
        -E '_(uv|sys)$|/test_nonce_million$'
}

if [ "${1:-}" = packages ]; then
    packages
else
    whole "${1:-$(nproc)}"
fi
