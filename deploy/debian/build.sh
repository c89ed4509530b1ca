#!/bin/sh
# Build the Debian package for the release that this host runs (Debian 12 and later, Ubuntu 24.04 and later).
#
#   deploy/debian/build.sh [DIRECTORY]        the package is written there; without it, to dist/
#
# The package holds a Python environment that was made with this release's own python3, under its final path. For
# another release, run this there (a container will do, as its root). No root is needed where users may make namespaces.
#
# The same source on the same release gives the same bytes (SOURCE_DATE_EPOCH; by default the last commit's time).
# CONNECTOR_HEALTH_VERSION   another version than that of daemon/version.py, for a build that is tried out
# DEBFULLNAME, DEBEMAIL      who answers for the package; see debchange(1)
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)

missing=""
for need in dpkg-deb:dpkg dpkg-shlibdeps:dpkg-dev gcc:gcc pkg-config:pkg-config strip:binutils unshare:util-linux; do
  command -v "${need%%:*}" > /dev/null || missing="$missing ${need#*:}"
done
[ -x /usr/bin/python3 ] && /usr/bin/python3 -c 'import ensurepip, venv' 2> /dev/null || missing="$missing python3-venv"
header=$(/usr/bin/python3 -c 'import sysconfig; print(sysconfig.get_path("include") + "/Python.h")' 2> /dev/null || :)
[ -e "$header" ] || missing="$missing python3-dev"
pkg-config --exists libsystemd 2> /dev/null || missing="$missing libsystemd-dev"
if [ -n "$missing" ]; then
  echo "$0: to build the package, first: apt-get install --no-install-recommends$missing" >&2
  exit 1
fi
if ! /usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "$0: this release has $(/usr/bin/python3 -V), and Connector Health needs Python 3.11: use Debian 12 or Ubuntu 24.04" >&2
  exit 1
fi

[ -n "${SOURCE_DATE_EPOCH:-}" ] || SOURCE_DATE_EPOCH=$(git -C "$source" log -1 --format=%ct 2> /dev/null || date +%s)
VERSION=${CONNECTOR_HEALTH_VERSION:-$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$source/daemon/version.py")}
# Packages of two releases hold different environments: their versions differ, and rise with the release.
RELEASE=$(. /etc/os-release && echo "$ID$VERSION_ID" | sed 's/^debian/deb/; s/[^a-z0-9.]//g')
DEBFULLNAME=${DEBFULLNAME:-Connector Health}
DEBEMAIL=${DEBEMAIL:-connector-health@example.com}
export SOURCE_DATE_EPOCH VERSION DEBFULLNAME DEBEMAIL
export DEB_VERSION="$VERSION-1~$RELEASE"

output=${1:-$source/dist}
mkdir -p "$output"
output=$(cd "$output" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP

# A copy, so that nothing is left in the tree, and what happens to be in it (caches, environments) is not packed.
mkdir -p "$work/source" "$work/root/opt/connector-health"
for name in pyproject.toml README.md LICENSE CHANGELOG.md daemon checks requirements deploy docs; do
  cp -R "$source/$name" "$work/source/"
done
find "$work/source" -name __pycache__ -prune -exec rm -rf {} +
chmod -R u=rwX,go=rX "$work/source"
[ -z "${CONNECTOR_HEALTH_VERSION:-}" ] ||
  sed -i "s/^__version__ = .*/__version__ = \"$VERSION\"/" "$work/source/daemon/version.py"

# An environment knows its own path, so it is made under the path at which it will be used: in a mount namespace of its
# own /opt is the package's, and this host's stays as it is.
if [ "$(id -u)" = 0 ]; then own="--mount"; else own="--user --map-root-user --mount"; fi
if unshare $own mount --bind "$work/root/opt" /opt 2> /dev/null; then
  unshare $own sh -eu -c 'mount --bind "$1/root/opt" /opt && exec sh "$1/source/deploy/debian/environment.sh" "$1"' sh "$work"
elif [ "$(id -u)" = 0 ] && [ ! -e /opt/connector-health ]; then
  # In a container without further rights nobody may make namespaces, and there /opt is nobody else's: it is lent.
  trap 'rm -rf "$work" /opt/connector-health' EXIT
  sh "$work/source/deploy/debian/environment.sh" "$work"
  rmdir "$work/root/opt/connector-health"
  mv /opt/connector-health "$work/root/opt/"
else
  echo "$0: no namespace of its own can be made here: build as root, where there is no /opt/connector-health yet" >&2
  exit 1
fi
sh "$work/source/deploy/debian/assemble.sh" "$work" "$output"
