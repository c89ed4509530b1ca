"""A base for our image that needs no registry: the minimal Debian with Python, as a tar for `docker import`.

It is made as the public Python images are: no byte code in it, no tests of the standard library, and pip. How this
machine reaches packages stands in its /etc/pip.conf, as it would in somebody's own base image.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.debian_root import SUITE, debian_root, surroundings
from tests.support.servers import find, require

APT_S = 300
_INSTALL = (
    "apt-get update -qq && apt-get install -y -qq --no-install-recommends python3 python3-venv "
    "&& apt-get clean && rm -rf /var/lib/apt/lists/* /usr/lib/python3*/test "
    "&& find /usr/lib/python3* -name '*.pyc' -delete"
)
_PIP = {"PIP_CERT": "cert", "PIP_DEFAULT_TIMEOUT": "timeout", "PIP_INDEX_URL": "index-url"}
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")


def python_base() -> Path:
    """Return the tar; it is made once and kept under build/."""
    require("root", "mount", "chroot", "tar")
    root = debian_root()
    made = root.with_name(f"debian-{SUITE}-python.tar")
    if made.is_file():
        return made
    with _layer(root) as top:
        _run(["chroot", str(top), "/bin/sh", "-c", _INSTALL], {**surroundings(), "DEBIAN_FRONTEND": "noninteractive"})
        settings = [f"{key} = {os.environ[name]}\n" for name, key in _PIP.items() if name in os.environ]
        (top / "etc/pip.conf").write_text("".join(["[global]\n", *settings]))
        part = made.with_suffix(".part")
        _run(
            [
                "tar",
                "-C",
                str(top),
                "--exclude=./dev/*",
                "--exclude=./proc/*",
                "--exclude=./sys/*",
                "-cf",
                str(part),
                ".",
            ]
        )
    part.rename(made)
    return made


def build_arguments() -> dict[str, str]:
    """Return the build arguments that a build here needs besides BASE_IMAGE: Docker knows these names by itself."""
    return {name: os.environ[name] for name in _PROXIES if name in os.environ}


@contextlib.contextmanager
def _layer(lower: Path) -> Iterator[Path]:
    """Lay an empty directory over a root for the block: what is written does not reach the root."""
    folder = Path(tempfile.mkdtemp(prefix="base-"))
    try:
        for name in ("upper", "work", "root"):
            (folder / name).mkdir()
        top = folder / "root"
        options = f"lowerdir={lower},upperdir={folder / 'upper'},workdir={folder / 'work'}"
        _run(["mount", "-t", "overlay", "-o", options, "base", str(top)])
        try:
            yield top
        finally:
            _run(["umount", "-l", str(top)])
    finally:
        shutil.rmtree(folder)


def _run(argv: list[str], env: dict[str, str] | None = None) -> None:
    program = find(argv[0]) or argv[0]
    done = subprocess.run(
        [program, *argv[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=APT_S, env=env,
    )  # fmt: skip
    assert done.returncode == 0, f"{argv}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
