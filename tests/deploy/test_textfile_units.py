"""The units that feed node_exporter's textfile collector: systemd takes them; they are locked up like the daemon."""

import json
import re
import subprocess
from pathlib import Path

from tests.support.servers import find, require

UNITS = Path(__file__).parents[2] / "deploy/systemd"
SERVICE, TIMER, DAEMON = (
    UNITS / name for name in ("connector-health-textfile.service", "connector-health-textfile.timer",
                              "connector-health.service")
)  # fmt: skip
# What the daemon's sandbox has beyond a single look's, or otherwise, each for a reason that the units tell.
OTHERWISE = {"UMask"}
TENTHS = 15  # of systemd-analyze's exposure: the daemon's own limit, though the file must be readable to others
ELSEWHERE = re.compile(r"Command .*(is not executable|failed with code)|Command 'man ")


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    require("systemd-analyze")
    argv = [find("systemd-analyze") or "", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)


def _settings(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def test_systemd_accepts_both() -> None:
    """`systemd-analyze verify` finds no unknown key and no bad value."""
    done = _analyze("verify", "--man=no", str(SERVICE), str(TIMER))
    ours = [line for line in done.stderr.splitlines() if "connector-health" in line and not ELSEWHERE.search(line)]
    assert ours == []


def test_the_sandbox_is_the_daemons() -> None:
    """Every line of the daemon's sandbox stands here too, and the score is as low as the daemon must have it."""
    begin = "# No capability at all"
    text = DAEMON.read_text()
    sandbox = text[text.index(begin) : text.index("[Install]")]
    lines = {line for line in sandbox.splitlines() if line and line[0] != "#"}
    here = set(SERVICE.read_text().splitlines())
    assert {line for line in lines - here if line.partition("=")[0] not in OTHERWISE} == set()
    done = _analyze("security", "--offline=yes", "--json=short", f"--threshold={TENTHS}", str(SERVICE))
    worst = [each for each in json.loads(done.stdout) if each["exposure"]]
    assert done.returncode == 0, worst


def test_verdicts_are_no_failures() -> None:
    """Warning and critical end the unit well, 3 does not: nothing known is told by the file that grows old."""
    settings = _settings(SERVICE)
    assert settings["SuccessExitStatus"] == ["1 2"]
    assert settings["User"] == ["connector-health"]
    assert all(line.startswith("+/bin/ln -sfn ") for line in settings["ExecStartPost"]), "root does nothing else"


def test_a_look_ends_before_the_next_one() -> None:
    """The command's own bound is shorter than the timer's period, and systemd's is longer than the command's."""
    settings = _settings(SERVICE)
    (bound,) = re.findall(r"--timeout (\d+)s", settings["ExecStart"][0])
    assert int(bound) < 60 < int(settings["TimeoutStartSec"][0].removesuffix("s"))
    assert _settings(TIMER)["OnCalendar"] == ["minutely"]
