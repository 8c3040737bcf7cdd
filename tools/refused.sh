# refused.sh -- sourced by test.sh: what this machine refuses of what tests need, found out by doing.
#
# `lacks` holds it in one word each: sandbox (a full one), networks, mounts, leaks (LeakSanitizer),
# threads (ThreadSanitizer). Tests read it from PREON_TEST_LACKS and may leave out what needs these,
# and nothing else (tests/README.md).
#
# shellcheck shell=bash

lacks=()
refused=() # the same with their reasons, a sentence each
probed=

# lacking WORD REASON
lacking()
{
    lacks+=("$1")
    refused+=("$1: $2")
    echo "this machine refuses $1: $2"
}

# try WORD COMMAND...: a command that does what tests will do.
try()
{
    local word=$1 said
    shift
    said=$("$@" 2>&1) || lacking "$word" "$(head -n 1 <<<"$said")"
}

# try_sanitizer WORD COMPLAINT COMMAND...: true when the program's sanitizer cannot start here.
try_sanitizer()
{
    local word=$1 complaint=$2 said
    shift 2
    said=$("$@" 2>&1 | grep -o -m 1 "$complaint.*") && lacking "$word" "$said"
}

# probe PRESET: once, with what that preset has built. `doctor` builds a whole sandbox.
probe()
{
    local preon=build/$1/preon folder said as=()
    [ -n "$probed" ] && return
    probed=yes
    [ "$(id -u)" -eq 0 ] || as=(--user --map-root-user)
    folder=$(mktemp -d)
    said=$("$preon" doctor --data "$folder" | sed -n 's/^note *sandbox *//p')
    [ -n "$said" ] && lacking sandbox "$said"
    try networks unshare "${as[@]}" --net sh -c \
        'ip link add wire type bridge && ip link add plug type veth peer name eth9 && nft add table ip t'
    try mounts unshare "${as[@]}" --mount mount -t tmpfs none "$folder"
    rmdir "$folder"
}
