"""Our Debian package, built as `make deb` builds it, on a Debian made from nothing that has only what a build needs."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.debian_root import REPOSITORY, SUITE, debian_root, surroundings
from tests.support.servers import find, require

# What build.sh names when it is missing: a test builds with these and nothing else.
BUILD_PACKAGES = "python3-venv python3-dev gcc libsystemd-dev pkg-config dpkg-dev"
BUILD_S = 240.0
NOBODY = 65534
_BUILD = "/src/deploy/debian/build.sh"


def building_root() -> Path:
    """Return the directory of a Debian that can build; made once, kept under build/, and never written to."""
    root = debian_root()
    packages = hashlib.sha256(BUILD_PACKAGES.encode()).hexdigest()[:8]
    made = root.with_name(f"debian-{SUITE}-building-{packages}")
    if made.is_dir():
        return made
    part = made.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    subprocess.run(["cp", "-a", str(root), str(part)], check=True, timeout=BUILD_S)  # devices, too
    install = f"apt-get update -qq && apt-get install -y -qq --no-install-recommends {BUILD_PACKAGES} && apt-get clean"
    inside(part, ["/bin/sh", "-c", install])
    part.rename(made)
    return made


def source_copy(folder: Path) -> Path:
    """Copy what a build reads of this tree, so that two builds read the same while somebody edits; return the copy."""
    left_out = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "tests", "bench")
    return Path(shutil.copytree(REPOSITORY, folder, ignore=left_out))


def build(source: Path, output: Path, *, as_nobody: bool = False, namespaces: bool = True, **settings: str) -> Path:
    """Build the package of a source into a directory and return its path; `settings` are build.sh's variables.

    Without `namespaces` as in a container that Docker makes: its root may neither make one nor mount.
    """
    output.mkdir(parents=True, exist_ok=True)
    command = ["/bin/sh", _BUILD, "/output"]
    if as_nobody:
        os.chown(output, NOBODY, NOBODY)
        command = ["/usr/bin/setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
    rights = [] if namespaces else ["--drop-capability=CAP_SYS_ADMIN"]
    with layer(building_root()) as root:
        said = inside(root, command, settings, f"--bind-ro={source}:/src", f"--bind={output}:/output", *rights)
        assert not list((root / "opt").iterdir()), "what it lent for the build is as it was"
    return output / Path(said.splitlines()[-1]).name


def inside(root: Path, command: Sequence[str], settings: dict[str, str] | None = None, *options: str) -> str:
    """Run a command in a root of its own, with our network; return its output."""
    require("root", "systemd-nspawn")
    machine = f"build-{uuid.uuid4().hex[:12]}"
    variables = {**surroundings(), "DEBIAN_FRONTEND": "noninteractive", **(settings or {})}
    argv = [
        find("systemd-nspawn") or "systemd-nspawn", "-q", "-D", str(root), "--register=no", "--keep-unit", "--pipe",
        f"--machine={machine}", *options,
        *(f"--setenv={name}={value}" for name, value in variables.items()), *command,
    ]  # fmt: skip
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=BUILD_S, errors="replace"
    )
    with contextlib.suppress(OSError):
        (Path("/run/systemd/nspawn/propagate") / machine).rmdir()
    assert done.returncode == 0, f"{command}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


@contextlib.contextmanager
def layer(lower: Path) -> Iterator[Path]:
    """Lay an empty directory over a root for the block; what is written there does not reach the root."""
    folder = Path(tempfile.mkdtemp(prefix="deb-build-"))
    mount, umount = find("mount") or "mount", find("umount") or "umount"
    with contextlib.ExitStack() as clean:
        clean.callback(folder.rmdir)
        subprocess.run([mount, "-t", "tmpfs", "-o", "size=2g,mode=755", "deb-build", str(folder)], check=True)
        clean.callback(subprocess.run, [umount, "-l", str(folder)], check=True)
        for name in ("upper", "work", "root"):
            (folder / name).mkdir()
        layers = f"lowerdir={lower},upperdir={folder / 'upper'},workdir={folder / 'work'}"
        subprocess.run([mount, "-t", "overlay", "-o", layers, "deb-build", str(folder / "root")], check=True)
        clean.callback(subprocess.run, [umount, "-l", str(folder / "root")], check=True)
        yield folder / "root"
