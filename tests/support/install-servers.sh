#!/bin/sh
# Install the real servers that the tests start by themselves, on Debian as root; elsewhere do nothing (those tests skip).
# `installation`: also what it takes to build packages and to install them on a Debian made from nothing.
# Debian starts a server when it installs it: a time server, a nameserver and a web server that nobody asked for must not
# appear on a developer's machine, so starting is forbidden while they are installed (policy-rc.d, invoke-rc.d(8)).
set -eu
PACKAGES="chrony faketime unbound nginx-light coturn nftables iproute2 procps mount prometheus prometheus-alertmanager prometheus-blackbox-exporter docker.io containerd runc busybox-static iptables systemd-container systemd-journal-remote mariadb-server mariadb-client postgresql openssh-server libsystemd-dev pkg-config gcc python3-dev"
[ "${1:-}" != installation ] || PACKAGES="$PACKAGES debootstrap dpkg-dev lintian mandoc docker-compose prometheus-node-exporter curl"
POLICY=/usr/sbin/policy-rc.d

[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && command -v dpkg-query >/dev/null || exit 0
missing=""
for package in $PACKAGES; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "installing the servers that the tests use:$missing"
if [ ! -e "$POLICY" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$POLICY"
  chmod 755 "$POLICY"
  trap 'rm -f "$POLICY"' EXIT
fi
log=$(mktemp)
if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } > "$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
rm -f "$log"
