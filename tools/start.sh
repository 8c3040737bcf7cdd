#!/bin/bash
#
# start.sh -- from a fresh clone to a verified answer: installs what is missing, builds the release,
# and runs a nonce job through a tracker and two peers on this machine.
#
#     tools/start.sh              PREON_DIFFICULTY=24: leading zero bits to search for
#
# Everything it starts lives in a temporary folder, listens on 127.0.0.1 or a free port, and is
# ended with it.
set -u
cd "$(dirname "$0")/.." || exit 1
. tools/debian.sh
exec </dev/null

PREON=$PWD/build/release/preon
DIFFICULTY=${PREON_DIFFICULTY:-24}
WAIT_S=15 # for a server to say that it listens; two of them for a killed one to be gone
folder=
pids=()
unset $(compgen -e PREON_) # the user's settings are for the user's own peers

say() { printf '\n== %s\n' "$*"; }

die()
{
    echo "start.sh: $*" >&2
    exit 1
}

# Only what this script has started, by its number.
clean_up()
{
    local pid
    for pid in "${pids[@]}"; do
        kill -TERM "$pid" 2>/dev/null
    done
    for pid in "${pids[@]}"; do
        wait "$pid" 2>/dev/null
    done
    [ -n "$folder" ] && rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# quiet NAME COMMAND...: its output is shown only when it fails.
quiet()
{
    local log=build/log/$1.log
    shift
    if ! "$@" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        die "this failed: $*"
    fi
}

# start NAME ARGUMENT...: a server in the background. Sets `port` to the one it listens on.
start()
{
    local log=$folder/$1.log pid tries
    shift
    : >"$log" # it is looked at at once
    "$PREON" "$@" >"$log" 2>&1 &
    pid=$!
    pids+=("$pid")
    for ((tries = 0; tries < WAIT_S * 20; tries++)); do
        port=$(sed -n 's/.*listening on .*:\([0-9][0-9]*\).*/\1/p' "$log" | head -n 1)
        [ -n "$port" ] && return 0
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    cat "$log" >&2
    die "preon $* does not listen"
}

say "packages"
need_packages "${PREON_BUILD_PACKAGES[@]}" || die "could not install what building takes"
echo "all there"

say "build (release)"
mkdir -p build/log
quiet start-configure cmake --preset release -DPREON_TESTS=OFF
quiet start-build cmake --build --preset release -j "$(nproc)"
"$PREON" --version || die "the program does not run"

folder=$(mktemp -d "${TMPDIR:-/tmp}/preon-start.XXXXXX") || die "no temporary folder"
chmod 711 "$folder" # a peer started as root becomes an ordinary user
export XDG_CONFIG_HOME=$folder/config XDG_DATA_HOME=$folder/data

say "sandbox"
# Of the other checks, that no peer and no tracker runs here yet is no news.
found=$("$PREON" doctor --data "$folder/one") || die "this machine lacks something:
$found"
awk '/^[a-z]+ +sandbox / { print; more = 1; next } more && /^ / { print } { more = 0 }' <<<"$found"
threads=$((($(nproc) + 1) / 2))

say "a tracker and two peers, $threads threads each"
start tracker tracker --host 127.0.0.1 --port 0
tracker=127.0.0.1:$port
echo "tracker on $tracker"
for name in one two; do
    start "$name" peer --data "$folder/$name" --host 127.0.0.1 --port 0 --tracker "$tracker" --threads "$threads"
    echo "peer $name on port $port"
done

say "a nonce with $DIFFICULTY leading zero bits"
if ! timeout 600 "$PREON" job create nonce --difficulty "$DIFFICULTY" --slices 32 \
    --data "$folder/one" --tracker "$tracker"; then
    tail -n 20 "$folder"/*.log >&2
    die "the job did not end with an answer"
fi

say "done. Next, each in a terminal of its own:"
cat <<END
    $PREON tracker
    $PREON peer --threads $(nproc)
    $PREON job create nonce --difficulty 30 --slices 256
END
