#!/bin/bash
#
# test.sh -- installs what the tests need, builds every preset, runs every test and the linters.
#
#     tools/test.sh               everything, as CI does
#     tools/test.sh STEP...       some of: format dev release start tsan tidy aarch64 fuzz
#
#     PREON_TEST_JOBS=2           how many compilers and tests at a time; default: the processors
#     PREON_FUZZ_SECONDS=60       for each fuzz target; default: 60 in CI (CI=true) if the hour that
#                                 CI has is enough, else 10
#
#     PREON_TEST_WHOLE=1          a machine that refuses anything that tests need fails
#
# A step that fails prints the one command that repeats it. Last line: "N passed, N failed", and
# ", N skipped" where the machine refuses what those tests need; each of them has said so.
set -u
cd "$(dirname "$0")/.." || exit 1
. tools/debian.sh
. tools/refused.sh
exec </dev/null

TEST_PACKAGES=("${PREON_BUILD_PACKAGES[@]}" libcmocka-dev clang clang-tidy clang-format llvm python3
    iproute2 nftables gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)
JOBS=${PREON_TEST_JOBS:-$(nproc)}
FUZZ_SECONDS=${PREON_FUZZ_SECONDS:-$([ "${CI:-}" = true ] && echo 60 || echo 10)}
FUZZ_UNTIL=3300 # CI ends after 3600 s: what has no number of its own fuzzes until then
FUZZ_SECONDS_MIN=10
LOG=build/log
passed=0
failed=0
skipped=0
ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}
export ASAN_OPTIONS

# say_failed COMMAND...: the end of the log and how to have it again.
say_failed()
{
    echo "---- the last of $log"
    tail -n "${TAIL:-60}" "$log"
    echo "---- to repeat:  $*"
}

# run NAME COMMAND...: one command that counts as one test.
run()
{
    local name=$1 from=$SECONDS
    shift
    log=$LOG/$name.log
    if "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        printf '%-24s ok      %4d s\n' "$name" $((SECONDS - from))
        return 0
    fi
    failed=$((failed + 1))
    printf '%-24s FAILED  %4d s\n' "$name" $((SECONDS - from))
    say_failed "${REPEAT:-$*}"
    return 1
}

# build PRESET [TARGET...]: configures and builds; counts as one test.
build()
{
    local preset=$1 options=()
    shift
    [ "$preset" = fuzz ] && options=(-DPREON_FUZZ_SECONDS="$FUZZ_SECONDS")
    [ $# -gt 0 ] && set -- --target "$@"
    run "$preset-configure" cmake --preset "$preset" -DPREON_TESTS=ON "${options[@]}" &&
        run "$preset-build" cmake --build --preset "$preset" -j "$JOBS" "$@"
}

# look_around PRESET: what this machine refuses of what the preset's tests need.
look_around()
{
    local before=${#lacks[@]} fuzz=build/fuzz/tests/fuzz/fuzz_hex
    case $1 in
    dev) try_sanitizer leaks "LeakSanitizer has encountered a fatal error" build/dev/preon --version ;;
    fuzz) try_sanitizer leaks "LeakSanitizer has encountered a fatal error" $fuzz -runs=1 ;;
    tsan)
        try_sanitizer threads "ThreadSanitizer: unexpected memory mapping" \
            "${prefix[@]}" build/tsan/preon --version
        ;;
    esac
    [[ " ${lacks[*]} " = *" leaks "* ]] && ASAN_OPTIONS=detect_leaks=0
    [ "$1" = fuzz ] || probe "$1"
    if [ "${PREON_TEST_WHOLE:-}" = 1 ] && [ ${#lacks[@]} -gt "$before" ]; then
        echo "and PREON_TEST_WHOLE=1: FAILED"
        failed=$((failed + 1))
        lacks=() # nobody may skip
    fi
}

# The skipped tests of a preset, with what each said of it.
say_skipped()
{
    awk '/^[0-9]+\/[0-9]+ Testing: / { name = $3 }
        /^skipped: / { print "    " name " " $0 }' "build/$1/Testing/Temporary/LastTest.log"
}

# tests PRESET [CTEST OPTION...]: each test counts.
tests()
{
    local preset=$1 from=$SECONDS status line bad=1 all=1 left=0 prefix=()
    shift
    # ThreadSanitizer of this age is confused by the wide address randomisation of newer kernels.
    if [ "$preset" = tsan ] && setarch "$(uname -m)" -R true 2>/dev/null; then
        prefix=(setarch "$(uname -m)" -R)
    fi
    look_around "$preset"
    if [ "$preset" = tsan ] && [[ " ${lacks[*]} " = *" threads "* ]]; then
        left=$(ctest --preset tsan -N "$@" | sed -n 's/^Total Tests: //p')
        skipped=$((skipped + left))
        printf '%-24s %4d skipped\n' tsan-ctest "$left"
        return 0
    fi
    log=$LOG/$preset-ctest.log
    PREON_TEST_LACKS=${lacks[*]} "${prefix[@]}" \
        ctest --preset "$preset" -j "$JOBS" --no-tests=error "$@" >"$log" 2>&1
    status=$?
    line=$(grep -E '^[0-9]+% tests passed, [0-9]+ tests failed out of [0-9]+' "$log" | tail -n 1)
    if [[ $line =~ passed,\ ([0-9]+)\ tests\ failed\ out\ of\ ([0-9]+) ]]; then
        bad=${BASH_REMATCH[1]}
        all=${BASH_REMATCH[2]}
        left=$(grep -c '^[[:space:]]*[0-9]* - .*(Skipped)$' "$log")
    fi
    if [ ${#lacks[@]} -eq 0 ]; then
        bad=$((bad + left)) # skipped where nothing is lacking
        left=0
    fi
    passed=$((passed + all - bad - left))
    failed=$((failed + bad))
    skipped=$((skipped + left))
    if [ "$status" -eq 0 ] && [ "$bad" -eq 0 ]; then
        printf '%-24s %4d ok  %4d s' "$preset-ctest" $((all - left)) $((SECONDS - from))
        [ "$left" -gt 0 ] && printf '  %d skipped:' "$left"
        printf '\n'
        say_skipped "$preset"
        return 0
    fi
    [ "$bad" -eq 0 ] && failed=$((failed + 1)) # ctest itself failed
    printf '%-24s %4d of %d FAILED  %4d s\n' "$preset-ctest" "$bad" "$all" $((SECONDS - from))
    say_skipped "$preset"
    sed -n '/^The following tests FAILED/,$p' "$log"
    TAIL=150 say_failed "PREON_TEST_LACKS='${lacks[*]}' ${prefix[*]} ctest --preset $preset" \
        "--rerun-failed --output-on-failure"
    return 1
}

# All sources that are ours, one a line.
sources()
{
    find common jobs tracker peer tools tests -name '*.c' -o -name '*.h' | sort
}

step_format()
{
    mapfile -t files < <(sources)
    REPEAT="tools/test.sh format" run format clang-format --dry-run -Werror "${files[@]}"
}

step_dev() { build dev && tests dev; }
step_release() { build release && tests release; }

# The first page's first command, to its answer.
started()
{
    local said status
    said=$(PREON_DIFFICULTY=16 timeout 600 tools/start.sh 2>&1)
    status=$?
    echo "$said"
    [ "$status" -eq 0 ] && grep -q '^nonce  *[0-9]' <<<"$said"
}

# Twice in a row; seconds, once the release is built.
step_start()
{
    local time
    for time in first second; do
        REPEAT="tools/test.sh start" run "start-$time" started || return 1
    done
}

# What has threads or a loop; the cores have neither.
step_tsan() { build tsan && tests tsan -R '_(uv|sys)$'; }

# Each file by those commands that differ for it. Only the findings, each once. The warning options
# in the compile commands are gcc's.
tidy()
{
    local findings
    findings=$(python3 tests/tidy.py build/dev build/tidy 2>&1 &&
        run-clang-tidy -p build/tidy -quiet -j "$JOBS" -extra-arg=-Wno-unknown-warning-option \
            "$PWD/(common|jobs|tracker|peer|tools|tests)/" 2>&1) &&
        return 0
    sed 's/\x1b\[[0-9;]*m//g' <<<"$findings" | grep -E '(error|warning|note): ' | sort -u
    return 1
}

# Works on what the dev preset configured.
step_tidy()
{
    if [ ! -f build/dev/compile_commands.json ]; then
        run dev-configure cmake --preset dev -DPREON_TESTS=ON || return 1
    fi
    REPEAT="tools/test.sh tidy" run tidy tidy
}

step_fuzz()
{
    local targets each
    targets=(tests/fuzz/fuzz_*.c)
    each=$(((FUZZ_UNTIL - SECONDS) * JOBS / ${#targets[@]}))
    each=$((each < FUZZ_SECONDS_MIN ? FUZZ_SECONDS_MIN : each))
    if [ -z "${PREON_FUZZ_SECONDS:-}" ] && [ "$FUZZ_SECONDS" -gt "$each" ]; then
        echo "${#targets[@]} fuzz targets: $each s each instead of $FUZZ_SECONDS, as $SECONDS s have gone"
        FUZZ_SECONDS=$each
    fi
    build fuzz fuzz_all && tests fuzz -R '^fuzz/' # all: the preset would build other tests too
}

# The nonce program needs the cross compiler alone; the whole program also Debian's arm64 libraries,
# which are fetched once.
step_aarch64()
{
    REPEAT="tools/test.sh aarch64" run aarch64-nonce tests/aarch64.sh
    if ! tests/aarch64_whole.sh packages >"$LOG/aarch64-packages.log" 2>&1; then
        skipped=$((skipped + 1))
        refused+=("arm64: Debian's packages of that architecture are not to be had")
        printf '%-24s skipped\n' aarch64
        return 0
    fi
    REPEAT="tools/test.sh aarch64" run aarch64 tests/aarch64_whole.sh "$JOBS"
}

install_packages()
{
    need_packages "${TEST_PACKAGES[@]}" &&
        need_packages "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev" # libFuzzer, sanitizers
}

main()
{
    local step steps=("$@")
    [ ${#steps[@]} -eq 0 ] && steps=(format dev release start tsan tidy aarch64 fuzz)
    for step in "${steps[@]}"; do
        if ! declare -F "step_$step" >/dev/null; then
            echo "test.sh: no step '$step': allowed are format dev release start tsan tidy aarch64 fuzz" >&2
            exit 2
        fi
    done
    mkdir -p "$LOG"
    if install_packages; then # not by run(): sudo may have to ask for a password
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
    for step in "${steps[@]}"; do
        "step_$step"
    done
    if [ "$skipped" -gt 0 ]; then
        printf 'this machine refuses %s\n' "${refused[@]}"
        echo "$passed passed, $failed failed, $skipped skipped"
    else
        echo "$passed passed, $failed failed"
    fi
    [ "$failed" -eq 0 ]
}

main "$@"
