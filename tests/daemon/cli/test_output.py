import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli.output import Destination
from tests.support.cli import environment


@pytest.fixture(autouse=True)
def _umask() -> object:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    """A reader who opened the old file keeps reading it whole; the new one is another file in its place."""
    target = tmp_path / "health.prom"
    target.write_text("old")
    with target.open() as reader:
        Destination(str(target)).write("new\n")
        assert reader.read() == "old"
    assert target.read_text() == "new\n"
    assert [file.name for file in tmp_path.iterdir()] == ["health.prom"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o000, 0o644)])
def test_mode_is_0644_less_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    """Another user's collector can read the file unless the umask says otherwise."""
    os.umask(umask)
    target = tmp_path / "out"
    Destination(str(target)).write("x")
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """When the result can't be written, what was there stays, and no temporary file."""
    target = tmp_path / "out"
    target.write_text("old")
    (tmp_path / f".out.{os.getpid()}.tmp").symlink_to("/dev/full")  # a trap at the temporary name is not followed
    with pytest.raises(OSError, match="symbolic link"):
        Destination(str(target)).write("new")
    assert target.read_text() == "old"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """A symbolic link is followed, and the file behind it replaced."""
    (tmp_path / "dir").mkdir()
    real, link = tmp_path / "dir" / "real", tmp_path / "link"
    real.write_text("old")
    link.symlink_to(real)
    Destination(str(link)).write("new")
    assert link.is_symlink()
    assert real.read_text() == "new"


def test_a_device_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    """`--output-file /dev/null` (or a pipe) is written into: as root, a rename would destroy it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        destination = Destination(str(pipe))
        destination.probe()
        destination.write("new")
        assert os.read(reader, 100) == b"new"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize(("path", "message"), [("no/such/out", "no such directory"), (".", "is a directory")])
def test_a_path_that_can_not_work_is_told_at_once(tmp_path: Path, path: str, message: str) -> None:
    """The mistake is found before anything is checked."""
    with pytest.raises(OSError, match=message):
        Destination(str(tmp_path / path)).probe()


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("size", [1, 200_000])
def test_a_reader_that_has_gone_is_no_error(size: int, unbuffered: str) -> None:
    """Writing to a closed pipe ends quietly, at the interpreter's exit too."""
    code = f"from daemon.cli.output import emit; emit('x' * {size}); emit('y')"
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=write,
        stderr=subprocess.PIPE,
        env=environment({"PYTHONUNBUFFERED": unbuffered}),
    ) as process:
        os.close(write)
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 0
