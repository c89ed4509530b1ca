import subprocess
import sys
from pathlib import Path

from tests.support.cli import healthctl

BUG = """\
import sys, daemon.serve
from daemon.cli.main import main
sys.argv = ["healthctl", "run"]
daemon.serve.load = None
sys.exit(main())
"""


def test_a_wrong_configuration_ends_with_3_before_anything_starts(tmp_path: Path) -> None:
    """The daemon does not start on a file that it can't read; it says why in one line."""
    done = healthctl("run", "--config", str(tmp_path / "missing.yaml"))
    assert (done.returncode, done.stdout) == (3, "")
    assert "missing.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_flags_are_the_contracts() -> None:
    """Each flag of the contract is there."""
    text = healthctl("run", "--help").stdout
    for flag in (
        "--config",
        "--web.listen-address",
        "--web.socket",
        "--web.config.file",
        "--log.format",
        "--log.level",
    ):
        assert flag in text


def test_a_daemon_that_breaks_down_does_not_end_as_after_a_wrong_configuration() -> None:
    """A fault of ours shows its traceback and ends with 2: systemd starts it anew, as after 3 it would not."""
    done = subprocess.run([sys.executable, "-c", BUG], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (2, "")
    assert "TypeError" in done.stderr
