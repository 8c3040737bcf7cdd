#!/bin/bash
#
# aarch64.sh -- builds nonce@1 for ARMv8 and lets it find known nonces under qemu-user, with the
# kernel of SHA-2 instructions and with the portable one.
#
#     CC=aarch64-linux-gnu-gcc QEMU=qemu-aarch64 tests/aarch64.sh
set -eu
cd "$(dirname "$0")/.."
CC=${CC:-aarch64-linux-gnu-gcc}
QEMU=${QEMU:-qemu-aarch64}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# As jobs/CMakeLists.txt builds it: this kernel's file alone may use its instructions.
objects=()
for source in jobs/nonce/*.c common/{args,buffer,hex,reader,status,writer}.c jobs/slice_env_main.c; do
    case $source in
    */nonce_draft.c | */nonce_program.c | */nonce_bench_sys.c | */nonce_verify.c) continue ;;
    */nonce_kernel_armv8.c) flags=-march=armv8-a+crypto ;;
    *) flags= ;;
    esac
    object=$out/$(basename "$source" .c).o
    # shellcheck disable=SC2086 # both are lists of words
    $CC -std=gnu17 -O2 -Wall -Wextra -Werror -Wno-format-truncation -D_GNU_SOURCE -I. $flags \
        -c -o "$object" "$source"
    objects+=("$object")
done
# shellcheck disable=SC2086
$CC -static -o "$out/nonce" "${objects[@]}" -lm

# expect NONCE OPTION...: both kernels find it. What lasts a second tells its progress, too.
expect()
{
    local nonce=$1 kernel found
    shift
    for kernel in armv8 portable; do
        found=$($QEMU "$out/nonce" --kernel "$kernel" "$@" | sed -n 's/^\(nonce [0-9]*\).*/\1/p')
        if [ "$found" != "nonce $nonce" ]; then
            echo "$kernel: $* found \"$found\", must be nonce $nonce" >&2
            exit 1
        fi
    done
}

expect 294 --difficulty 13
expect 106 --difficulty 13 --hash sha256
expect 9248 --difficulty 13 --bit-order lsb
expect 660 --difficulty 13 --append hex
expect 900 --difficulty 13 --append le32
expect 1074435534 --difficulty 20 --bit-order lsb --start 1074430000 --end 1074440000
expect 2083236893 --nbits 1d00ffff --start 2083230000 --count 10000 --header \
    0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c

# At its start the program compares the kernel it chose with the plain code, and says when it is wrong.
if [ -n "$($QEMU "$out/nonce" --difficulty 8 2>&1 >/dev/null)" ]; then
    echo "a kernel computes wrong hashes" >&2
    exit 1
fi
echo "aarch64: armv8 and portable agree with the known nonces"
