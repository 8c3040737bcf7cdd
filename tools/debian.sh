# debian.sh -- sourced by start.sh and test.sh: installs Debian packages that are missing.
#
# shellcheck shell=bash disable=SC2034,SC2024

# What building the program takes; test.sh needs more.
PREON_BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build pkg-config libuv1-dev libssl-dev zlib1g-dev
    libsqlite3-dev libcurl4-openssl-dev libmicrohttpd-dev libjansson-dev libpng-dev libseccomp-dev)

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

# Runs a command as root: directly, or through sudo, which may ask for a password on a terminal only.
as_root()
{
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif ! command -v sudo >/dev/null; then
        echo "need root for: $*" >&2
        echo "there is no sudo here: run that line as root, then this script again" >&2
        return 1
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
    echo "installing from Debian's packages: ${missing[*]}"
    # Lists that can't be fetched are no reason to give up: older ones may do.
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update >/dev/null; then
        echo "apt-get update failed; trying with the lists that are here" >&2
    fi
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y --no-install-recommends install "${missing[@]}" >/dev/null
}
