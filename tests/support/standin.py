"""A stand-in Connector for containers: strict about its settings, and says and does only what the test tells it.

The real image holds `/connectord` and `/connectorctl`; so does this one, as busybox scripts. Its orders come through a
fifo in its root directory, which the test writes to by way of /proc/PID/root.
"""

import io
import stat
import tarfile
from pathlib import Path

from tests.support.servers import require

VERSION = "1.80.0"
ORDERS = "/run/orders"
LABELS = (f"LABEL org.opencontainers.image.version={VERSION}", 'CMD ["/connectord"]')
"""What `docker import` is told besides the files: the image's label and command."""

# Names and values as the reference of the Connector's environment has them; whatever else begins with TWINGATE_ is
# taken for a mistake of the test.
CONNECTORD = rf"""#!/bin/sh
[ "$1" = --version ] && echo "connectord {VERSION}" && exit 0
fail() {{ echo "[ERROR] [connector] $*" >&2; exit 64; }}
for name in $(env | sed -n 's/^\(TWINGATE_[A-Z0-9_]*\)=.*/\1/p'); do
  case "$name" in
    TWINGATE_NETWORK|TWINGATE_URL|TWINGATE_ACCESS_TOKEN|TWINGATE_REFRESH_TOKEN|TWINGATE_DNS|TWINGATE_METRICS_PORT) ;;
    TWINGATE_LOG_LEVEL|TWINGATE_LOG_ANALYTICS|TWINGATE_TIMESTAMP_FORMAT|TWINGATE_API_ENDPOINT|TWINGATE_LABEL_*) ;;
    *) fail "unknown setting $name" ;;
  esac
done
[ -n "$TWINGATE_NETWORK$TWINGATE_URL" ] || fail "TWINGATE_NETWORK or TWINGATE_URL is missing"
[ -n "$TWINGATE_ACCESS_TOKEN" ] || fail "TWINGATE_ACCESS_TOKEN is missing"
[ -n "$TWINGATE_REFRESH_TOKEN" ] || fail "TWINGATE_REFRESH_TOKEN is missing"
case "${{TWINGATE_LOG_LEVEL:-3}}" in -1|[0-7]) ;; *) fail "bad TWINGATE_LOG_LEVEL" ;; esac
case "$TWINGATE_LOG_ANALYTICS" in ""|v1|v2|v3) ;; *) fail "bad TWINGATE_LOG_ANALYTICS" ;; esac
trap 'exit 0' TERM INT
[ -p {ORDERS} ] || mkfifo {ORDERS} || exit 65
if [ -n "$TWINGATE_METRICS_PORT" ]; then
  busybox httpd -p "$TWINGATE_METRICS_PORT" -h /www || exit 66
fi
if [ "${{TWINGATE_LOG_LEVEL:-3}}" -ge 5 ]; then
  for state in Offline Authentication Online; do echo "[INFO] [connector] State: $state"; done
fi
exec 3<> {ORDERS}
while IFS= read -r order <&3; do
  rest=${{order#* }}
  case "$order" in
    "say "*) printf '%s\n' "$rest" ;;
    "err "*) printf '%s\n' "$rest" >&2 ;;
    "part "*) printf '%s' "$rest" ;;
    "cat "*) cat "$rest" ;;
    "run "*) eval "$rest" ;;
    "exit "*) exit "$rest" ;;
    *) echo "unknown order: $order" >&2; exit 67 ;;
  esac
done
"""
CONNECTORCTL = """#!/bin/sh
# `connectorctl health`: OK as long as the file that a test may put there is not there.
[ "$1" = health ] || exit 64
[ -e /run/unhealthy ] && echo "No such file or directory (os error 2)" && exit 1
echo OK
"""


APPLETS = ("cat", "env", "httpd", "mkfifo", "nc", "nslookup", "printf", "sed", "sh", "sleep", "touch", "wget")
METRICS = "# TYPE twingate_connector_uptime_seconds gauge\ntwingate_connector_uptime_seconds 1\n"


def image_tar(extra: dict[str, str] | None = None) -> bytes:
    """Return the root directory of the stand-in's image; `extra` is path → text of more files."""
    require("/bin/busybox")
    files = {"connectord": CONNECTORD, "connectorctl": CONNECTORCTL, "www/metrics": METRICS}
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for folder in ("bin", "etc", "proc", "sys", "dev", "run", "tmp", "www"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path, text in {**files, **(extra or {})}.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text.encode()), 0o755
            tar.addfile(entry, io.BytesIO(text.encode()))
        busybox = Path("/bin/busybox").read_bytes()
        entry = tarfile.TarInfo("bin/busybox")
        entry.size, entry.mode = len(busybox), stat.S_IMODE(0o755)
        tar.addfile(entry, io.BytesIO(busybox))
        for name in APPLETS:
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, "busybox", 0o755
            tar.addfile(entry)
    return made.getvalue()


def order(pid: int, *orders: str) -> None:
    """Give the stand-in whose process is `pid` orders: say TEXT, err TEXT, part TEXT, cat FILE, run COMMAND, exit N."""
    with Path(f"/proc/{pid}/root{ORDERS}").open("wb") as fifo:
        fifo.write("".join(f"{each}\n" for each in orders).encode())
