"""The Debian package, built for real and installed on a real, booted, minimal Debian 12."""

import hashlib
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deb_build import build, inside, layer, source_copy
from tests.support.deb_lab import CONFIG, DAEMON, STATE, DebLab, configuration, deb_lab
from tests.support.debian_root import debian_root
from tests.support.servers import find, free_port, require

pytestmark = pytest.mark.timeout(900)
NEWER = "99.0.0"
EPOCH = "1767323045"  # a day on which nothing was built
INSTANCE, INSTANCE_STATE = "connector-health@two.service", "/var/lib/connector-health/two/state.db"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This tree as it is now."""
    return source_copy(tmp_path_factory.mktemp("source") / "tree")


@pytest.fixture(scope="module")
def package(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of this tree."""
    return build(source, tmp_path_factory.mktemp("deb"), SOURCE_DATE_EPOCH=EPOCH)


@pytest.fixture(scope="module")
def newer(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, a higher version, made in a container without further rights."""
    output = tmp_path_factory.mktemp("newer")
    return build(source, output, namespaces=False, SOURCE_DATE_EPOCH=EPOCH, CONNECTOR_HEALTH_VERSION=NEWER)


@pytest.fixture
def lab() -> Iterator[DebLab]:
    """A Debian on which nothing of ours was ever installed."""
    with deb_lab() as lab:
        yield lab


def test_lintian_finds_nothing_to_object_to(package: Path) -> None:
    """Debian's own checker has no error and no warning, beyond what the overrides give a reason for."""
    require("lintian")
    argv = [find("lintian") or "lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0"]
    done = subprocess.run([*argv, str(package)], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_same_source_gives_the_same_bytes_whoever_builds(source: Path, package: Path, tmp_path: Path) -> None:
    """A second build, by a user without rights, is the same file."""
    again = build(source, tmp_path / "again", as_nobody=True, SOURCE_DATE_EPOCH=EPOCH)
    assert again.name == package.name
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(package.read_bytes()).digest()


def test_it_waits_for_its_configuration_and_then_runs(lab: DebLab, package: Path) -> None:
    """Installed by apt-get with all it needs, the unit waits and says for what; the file starts it, the CLI asks it."""
    said = lab.install(package)
    assert "the daemon starts when /etc/connector-health/config.yaml exists" in said
    assert lab.run(["systemctl", "is-enabled", DAEMON]) == "enabled\n"
    status = lab.run(["systemctl", "status", DAEMON], check=False)
    assert "ConditionPathExists=/etc/connector-health/config.yaml was not met" in status
    assert lab.processes("connector-health") == []

    port = free_port()
    lab.write(CONFIG, configuration(port))
    assert "ok, 1 Resource" in lab.run(["healthctl", "config", "check"])
    lab.lab.until(DAEMON, "ActiveState", "active")
    assert lab.lab.show(DAEMON, "StatusText")  # it is active because it notified, and it tells its verdict
    assert "The Resource answers" in lab.run(["healthctl", "check"])
    lab.until_ok("healthctl", "status")
    document = json.loads(lab.run(["healthctl", "status", "-o", "json"]))
    assert (document["connector"], document["status"]) == ("office-1", "ok")
    # As the daemon's user: the socket needs no address, and the group may ask.
    assert lab.run(["setpriv", "--reuid=nobody", "--regid=connector-health", "--clear-groups", "healthctl", "status",
                    "--web.socket", "/run/connector-health/api.sock", "--alive"])  # fmt: skip
    # Running it as root has changed none of its files, and added none.
    assert lab.run(["dpkg", "-V", "connector-health"]) == ""
    packed = set(lab.run(["dpkg", "-L", "connector-health"]).splitlines())
    assert {f"/{path}" for path in lab.files() if path.startswith("opt/")} <= packed


def test_what_a_person_at_the_prompt_expects_is_there(lab: DebLab, package: Path) -> None:
    """Completion, manual pages, an example that is valid, runbooks, licences and an SBOM come with the package."""
    lab.install(package)
    complete = (
        "source /usr/share/bash-completion/completions/healthctl; COMP_WORDS=(healthctl sta); COMP_CWORD=1;"
        ' _healthctl_completion healthctl; echo "${COMPREPLY[@]}"'
    )
    assert lab.run(["bash", "-c", complete]) == "status\n"
    for page in ("man1/healthctl.1.gz", "man8/connector-health-netns.8.gz"):
        text = lab.run(["gzip", "-dc", f"/usr/share/man/{page}"])
        require("mandoc")
        done = subprocess.run([find("mandoc") or "mandoc", "-T", "lint"], input=text, capture_output=True, text=True,
                              check=False)  # fmt: skip
        assert (done.returncode, done.stdout) == (0, "")
    example = "/usr/share/doc/connector-health/examples/config.yaml"
    assert "ok, 2 Resources" in lab.run(["healthctl", "config", "check", "--config", example])
    assert "usage: connector-health-netns" in lab.run(["/usr/sbin/connector-health-netns", "--help"])
    doc = "usr/share/doc/connector-health"
    assert (lab.lab.root / doc / "docs/runbooks/ConnectorNameserverDown.md").is_file()
    assert (
        json.loads((lab.lab.root / doc / "sbom.cdx.json").read_text())["metadata"]["component"]["name"]
        == "connector-health"
    )
    shipped = {name.split("/")[-1].split("-")[0] for name in lab.files() if name.endswith(".dist-info")}
    assert {"aiohttp", "systemd_python", "connector_health"} <= shipped
    assert not shipped & {"pip", "hatchling", "setuptools", "packaging", "pytest"}
    licences = (lab.lab.root / doc / "copyright").read_text()
    assert all(f"site-packages/{name}-" in licences for name in shipped - {"connector_health"})


def test_upgrade_and_downgrade_keep_what_ran_and_what_it_knows(lab: DebLab, package: Path, newer: Path) -> None:
    """To a higher version and back: configuration and history stay, and what ran runs again, enabled or not.

    So does what an upgrade had stopped that failed half-way.
    """
    lab.install(package)
    ports = free_port(), free_port()
    lab.write(CONFIG, configuration(ports[0]))
    lab.write("/etc/connector-health/two.yaml", configuration(ports[1], "office-2", INSTANCE_STATE))
    lab.run(["systemctl", "start", DAEMON, INSTANCE])  # the instance by hand only: it is not enabled
    lab.until_ok("healthctl", "status")
    first = _since(ports[0])
    lab.run(["systemctl", "stop", INSTANCE])
    lab.write("/run/connector-health.upgrade", f"{INSTANCE}\n")
    for file, options, version in ((newer, (), NEWER), (package, ("--allow-downgrades",), _version(package))):
        before = lab.lab.show(DAEMON, "MainPID")
        lab.install(file, *options)
        assert lab.run(["healthctl", "--version"]) == f"healthctl {version}\n"
        assert [lab.lab.show(unit, "ActiveState") for unit in (DAEMON, INSTANCE)] == ["active", "active"]
        assert lab.lab.show(DAEMON, "MainPID") != before
        lab.until_ok("healthctl", "status")
        assert json.loads(lab.run(["healthctl", "status", "-o", "json"]))["version"] == version
        assert _since(ports[0]) == first
        assert lab.text(CONFIG) == configuration(ports[0])
        assert not lab.there("/run/connector-health.upgrade")


def test_an_upgrade_respects_who_switched_it_off_and_survives_a_bad_file(
    lab: DebLab, package: Path, newer: Path
) -> None:
    """A disabled unit stays so and stopped; a file that the new version refuses fails the unit, not the upgrade."""
    lab.install(package)
    lab.write(CONFIG, configuration(free_port()))
    lab.run(["systemctl", "disable", "--now", DAEMON])
    lab.install(newer)
    assert lab.run(["systemctl", "is-enabled", DAEMON], check=False) == "disabled\n"
    assert lab.lab.show(DAEMON, "ActiveState") == "inactive"

    lab.run(["systemctl", "enable", "--now", DAEMON])
    lab.write(CONFIG, "resources: [{nmae: x}]\n")
    said = lab.install(package, "--allow-downgrades")
    assert "see: systemctl status 'connector-health*'" in said
    assert "install ok installed" in lab.run(["dpkg", "-s", "connector-health"])
    assert lab.lab.show(DAEMON, "ActiveState") == "failed"
    assert "config.yaml:1:14" in lab.run(["journalctl", "-u", DAEMON])


def test_remove_keeps_and_purge_leaves_nothing(lab: DebLab, package: Path) -> None:
    """Removed, configuration and state stay, for another install; purged, every file and process of ours is gone."""
    before = lab.files()
    lab.install(package)
    lab.write(CONFIG, configuration(free_port()))
    lab.write("/etc/connector-health/two.yaml", configuration(free_port(), "office-2", INSTANCE_STATE))
    lab.run(["systemctl", "enable", "--now", INSTANCE])
    lab.until_ok("healthctl", "status")
    lab.run(["systemctl", "enable", "connector-health-netns.service"])

    lab.apt("remove", "connector-health")
    assert lab.processes("connector-health") == []
    assert [lab.there(path) for path in (CONFIG, STATE, "/opt/connector-health", "/opt")] == [True, True, False, True]
    lab.install(package)
    assert [lab.lab.show(unit, "ActiveState") for unit in (DAEMON, INSTANCE)] == ["active", "active"]

    lab.apt("purge", "connector-health")
    lab.apt("autoremove", "--purge")  # what it had brought
    left = {path for path in lab.files() - before if not path.startswith(_OF_SYSTEMD)}
    assert (left, before - lab.files()) == (set(), set())
    assert lab.processes("connector-health") == []
    assert "connector-health.service" not in lab.run(["systemctl", "list-units", "--all", "connector-health*"])


def test_it_installs_where_no_systemd_runs(package: Path) -> None:
    """While an image is built nothing runs, and nothing is started: it installs, works, and can be purged."""
    install = "apt-get update -qq && apt-get install -y -qq --no-install-recommends /packages/*.deb"
    with layer(debian_root()) as root:
        said = inside(root, ["/bin/sh", "-c", f"{install} && healthctl --version && id -un connector-health"],
                      None, f"--bind-ro={package.parent}:/packages")  # fmt: skip
        assert said.endswith(f"healthctl {_version(package)}\nconnector-health\n")
        assert (root / "etc/systemd/system/multi-user.target.wants/connector-health.service").is_symlink()
        inside(root, ["/usr/bin/dpkg", "--purge", "connector-health"])
        assert not list((root / "etc/systemd/system").rglob("connector-health*"))


def test_an_environment_made_by_hand_is_not_mixed_with_ours(lab: DebLab, package: Path) -> None:
    """Where somebody installed by pip under the same path, nothing is touched, and the way on is told."""
    (lab.lab.root / "opt/connector-health").mkdir(parents=True)
    (lab.lab.root / "opt/connector-health/pyvenv.cfg").write_text("home = /usr/bin\n")
    said = lab.install(package, fails=True)
    assert "mv /opt/connector-health /opt/connector-health.old" in said
    assert not lab.there("/usr/bin/healthctl")
    shutil.move(lab.lab.root / "opt/connector-health", lab.lab.root / "opt/connector-health.old")
    lab.install(package)
    assert lab.run(["healthctl", "--version"]) == f"healthctl {_version(package)}\n"


# What systemd itself makes while it runs for a few seconds.
_OF_SYSTEMD = ("var/lib/systemd/linger", "var/tmp/systemd-private-", "var/lib/systemd/timers")


def _version(package: Path) -> str:
    return package.name.split("_")[1].partition("-")[0]


def _since(port: int) -> str:
    """Return since when the daemon knows its only Resource."""
    row = f"tcp:127.0.0.1:{port}"
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/history?id={row}", timeout=10) as answer:
        oldest: str = json.load(answer)["history"][-1]["began_at"]
    return oldest
