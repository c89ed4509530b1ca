"""The units of deploy/systemd: systemd accepts them, their sandboxes are tight, and instances differ in names alone."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.support.servers import find, require

REPOSITORY = Path(__file__).parents[2]
UNITS = REPOSITORY / "deploy/systemd"
OURS = [f"connector-health{name}" for name in (".service", ".path", "-netns.service", "-netns.socket")]
MOST = {"connector-health": 15, "connector-health-netns": 28}
"""What `systemd-analyze security` may say, in tenths; exporters that Debian ships without a sandbox have 92."""
NOT_HERE = "is not executable: No such file or directory"  # the program, where it is not installed


def values(text: str, key: str) -> list[str]:
    """Return what a unit sets a key to, in order."""
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return [line.partition("=")[2] for line in lines if line.partition("=")[0] == key]


def template(name: str) -> str:
    """Return the name of the unit's template."""
    return name.replace(".", "@.")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze on files; it needs no systemd that runs."""
    require("systemd-analyze")
    argv = [find("systemd-analyze") or "", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)


def complaints(folder: Path) -> list[str]:
    """Return what `systemd-analyze verify` has against our units in a directory, templates included."""
    units = [folder / name for name in OURS] + [folder / name.replace(".", "@office-2.") for name in OURS]
    done = analyze("verify", "--man=no", *map(str, units))
    return [line for line in done.stderr.splitlines() if "connector-health" in line and NOT_HERE not in line]


def test_systemd_accepts_every_unit() -> None:
    """`systemd-analyze verify` finds no unknown key, no bad value and no loop."""
    assert complaints(UNITS) == []


def test_systemd_accepts_every_example(tmp_path: Path) -> None:
    """Each drop-in of examples/ is one that the unit takes, and none is named only in passing."""
    for name in (*OURS, *map(template, OURS)):
        (tmp_path / name).write_text((UNITS / name).read_text())
    folder = tmp_path / "connector-health.service.d"
    folder.mkdir()
    examples = sorted((UNITS / "examples").glob("*.conf"))
    for example in examples:
        text = example.read_text()
        assert text.startswith(f"# /etc/systemd/system/connector-health.service.d/{example.name}\n"), "where it goes"
        (folder / example.name).write_text(text)
    assert examples
    assert complaints(tmp_path) == []
    (folder / "wrong.conf").write_text("[Service]\nSuplementaryGroups=docker\n")
    assert any("wrong.conf" in line for line in complaints(tmp_path)), "a wrong one is seen"


@pytest.mark.parametrize("name", [f"{name}{at}.service" for name in MOST for at in ("", "@")])
def test_exposure(name: str) -> None:
    """`systemd-analyze security`: 1.5 at most for the daemon, and for the helper what its four capabilities leave."""
    most = MOST[name.removesuffix(".service").removesuffix("@")]
    done = analyze("security", "--offline=yes", "--no-pager", f"--threshold={most}", str(UNITS / name))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", OURS)
def test_an_instance_differs_in_names_alone(name: str) -> None:
    """Each setting of a unit stands in its template too, so none is forgotten when one of the two is changed."""

    def settings(text: str) -> list[str]:
        lines = (line for line in text.splitlines() if line and not line.startswith("#"))
        return [line for line in lines if line.partition("=")[0] not in ("Description", "ExecStart", "Environment")]

    single, many = ((UNITS / each).read_text() for each in (name, template(name)))
    for ours, of_instance in (
        ("@%i.", "."), ("connector-health/%i.yaml", "connector-health/config.yaml"), ("-health/%i", "-health"),
        ("health-%i.", "health."), ("netns-%i.sock", "netns.sock"),
    ):  # fmt: skip
        many = many.replace(ours, of_instance)
    assert settings(many) == settings(single)


def test_the_daemon_holds_nothing() -> None:
    """The default unit has no capability, users of its own, and no group but the one that reads the journal."""
    for name in ("connector-health.service", "connector-health@.service"):
        text = (UNITS / name).read_text()
        assert values(text, "CapabilityBoundingSet") == values(text, "AmbientCapabilities") == [""]
        assert values(text, "NoNewPrivileges") == values(text, "PrivateUsers") == ["yes"]
        assert values(text, "SupplementaryGroups") == ["systemd-journal"]


def test_root_gives_nothing_away_by_name_in_a_directory_of_the_daemon() -> None:
    """systemd changes the owner of a socket by its name, and follows links: the directory's group does it instead."""
    for name in ("connector-health-netns.socket", "connector-health-netns@.socket"):
        text = (UNITS / name).read_text()
        assert values(text, "SocketUser") == values(text, "SocketGroup") == [], name
        assert values(text, "SocketMode") == ["0660"]
    for name in ("connector-health.service", "connector-health@.service"):
        assert values((UNITS / name).read_text(), "RuntimeDirectoryMode") == ["2755"]
    (line,) = (line for line in (UNITS / "connector-health.tmpfiles").read_text().splitlines() if line[0] != "#")
    assert line.split()[:5] == ["d", "/run/connector-health", "2755", "connector-health", "connector-health"]


def test_what_would_break_it_is_not_set() -> None:
    """No filter of addresses on the helper, whose sockets it would follow; no ProtectClock=, which hides the clock."""
    for name in OURS:
        for text in ((UNITS / name).read_text(), (UNITS / template(name)).read_text()):
            assert not values(text, "IPAddressDeny"), name
            assert not values(text, "PathExists"), "it starts a service that failed again and again"
            if "netns" not in name:
                assert not values(text, "ProtectClock"), name


def test_the_programs_are_ours() -> None:
    """What the units start are the programs that the distribution installs."""
    ours = set(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"])
    started = set()
    for name in OURS:
        for key in ("ExecStart", "ExecReload"):
            started |= {line.split()[0] for line in values((UNITS / name).read_text(), key)}
    assert started - {"/bin/sh"} == {f"/opt/connector-health/bin/{name}" for name in ours}
