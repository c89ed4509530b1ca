"""A Debian made from nothing (debootstrap), to install our packages on: what they do not depend on is not there.

It is made once (a minute) and kept under build/ for the next run; who uses it writes to a layer of their own.
"""

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.servers import find, require

REPOSITORY = Path(__file__).parents[2]
SUITE = "bookworm"
MAKE_S = 600
_PACKAGES = "systemd,systemd-sysv,dbus,ca-certificates"
# How this machine reaches Debian's packages, and whom it trusts on the way.
_LIKE_OURS = ("etc/resolv.conf", "etc/apt/apt.conf.d", "etc/ssl/certs/ca-certificates.crt")


def debian_root() -> Path:
    """Return the directory of a minimal Debian that systemd can boot; nobody may write there."""
    require("root", "debootstrap")
    root = REPOSITORY / "build" / f"debian-{SUITE}"
    if (root / "etc/debian_version").is_file():
        return root
    making = root.with_suffix(".part")
    shutil.rmtree(making, ignore_errors=True)
    making.parent.mkdir(parents=True, exist_ok=True)
    argv = [find("debootstrap") or "debootstrap", "--variant=minbase", f"--include={_PACKAGES}", SUITE, str(making)]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=MAKE_S)
    assert done.returncode == 0, f"debootstrap: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    for name in _LIKE_OURS:
        _copy(Path("/", name), making / name)
    (making / "etc/machine-id").write_text("")
    making.rename(root)
    return root


def surroundings() -> dict[str, str]:
    """Return what a command in there needs of our environment to reach packages; nothing else gets in."""
    kept = ("PIP_CERT", "PIP_DEFAULT_TIMEOUT", "PIP_INDEX_URL", "http_proxy", "https_proxy", "no_proxy")
    usual = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
    return usual | {name: os.environ[name] for name in kept if name in os.environ}


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        for file in source.iterdir():
            if file.name not in {"docker-clean", "docker-gzip-indexes", "docker-no-languages"}:
                _copy(file, target / file.name)
    elif source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copyfile(source, target)
