# debian.sh -- sourced by start.sh and test.sh: installs Debian packages that are missing.
#
# shellcheck shell=bash disable=SC2034,SC2024

# What building the program takes, and openssl for the line that an answer is checked by; test.sh
# needs more.
PREON_BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build pkg-config libuv1-dev libssl-dev zlib1g-dev
    libsqlite3-dev libcurl4-openssl-dev libmicrohttpd-dev libjansson-dev libpng-dev libseccomp-dev
    openssl)

# Prints those of its arguments that are not installed, one a line.
missing_packages()
{
    local package
    for package in "$@"; do
        case "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" in
        installed) ;;
        *) echo "$package" ;;
        esac
    done
}

# Whether as_root can work: root, or sudo that needs no password or has a terminal to ask for it on.
can_be_root()
{
    [ "$(id -u)" -eq 0 ] && return 0
    command -v sudo >/dev/null || return 1
    { [ -t 2 ] && [ -r /dev/tty ]; } || sudo -n true 2>/dev/null
}

as_root()
{
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif [ -t 2 ] && [ -r /dev/tty ]; then
        sudo "$@" </dev/tty
    else
        sudo -n "$@"
    fi
}

# Makes sure that all its arguments are installed. Touches neither the network nor root's rights
# when they are.
need_packages()
{
    local missing
    if ! command -v dpkg-query >/dev/null; then
        echo "not a Debian system: make sure that you have what these packages hold: $*" >&2
        return 0
    fi
    mapfile -t missing < <(missing_packages "$@")
    if [ "${#missing[@]}" -eq 0 ]; then
        return 0
    fi
    if ! can_be_root; then
        echo "these packages are missing, and installing them takes root's rights (there is no sudo, or it" >&2
        echo "wants a password and there is no terminal to ask on). Run as root, then this again:" >&2
        echo "    apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
        return 1
    fi
    echo "installing from Debian's packages: ${missing[*]}"
    # Lists that can't be fetched are no reason to give up: older ones may do.
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update >/dev/null; then
        echo "apt-get update failed; trying with the lists that are here" >&2
    fi
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y --no-install-recommends install "${missing[@]}" >/dev/null
}
