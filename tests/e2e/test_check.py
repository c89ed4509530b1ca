"""`healthctl check` as a person runs it, against real servers of every kind at once."""

import asyncio
import contextlib
import json
import re
import shlex
import signal
import subprocess
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import environment, healthctl, silent_nameserver, write_config
from tests.support.nameservers import reply, scripted
from tests.support.nginx import Site, nginx
from tests.support.ntp_server import chronyd
from tests.support.pki import Authority
from tests.support.process import HEALTHCTL, Row, quiet_config, quiet_port
from tests.support.process import healthctl as started
from tests.support.site import Servers, site
from tests.support.tcp import listening, port_of


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The site of real servers."""
    with site(tmp_path_factory.mktemp("site")) as running_ones:
        yield running_ones


def _rows(text: str) -> dict[str, Row]:
    return {row["id"]: row for row in json.loads(text)["checks"]}


def test_everything_is_fine(servers: Servers, tmp_path: Path) -> None:
    """chronyd, unbound, nginx and coturn as they should be: every row ok, what can't be probed skipped, exit code 0."""
    done = healthctl("check", "--config", str(servers.config(tmp_path)), "-o", "json")
    rows = _rows(done.stdout)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    not_ok = {row_id: (row["status"], row["reason"]) for row_id, row in rows.items() if row["status"] != "ok"}
    assert not_ok.keys() == {"tcp:*.corp.test", "connector:process", "provider:status.twingate.com"}
    assert set(not_ok.values()) == {("skipped", "not_probeable")}
    assert {row["check"] for row in rows.values() if row["status"] == "ok"} == {
        "clock", "control_plane", "relay", "nat", "resolver", "dns", "tcp",
    }  # fmt: skip
    assert "3 of 3 sources agree" in rows["clock:system"]["summary"]
    assert rows["nat:udp"]["facts"]["endpoint_independent"] is True


def test_time_servers_six_seconds_ahead(servers: Servers, tmp_path: Path) -> None:
    """Two time servers 6 s ahead of this host: clock critical with about -6 s, exit code 2, and nothing else fails."""
    with chronyd(tmp_path, "one", wrong_by="+6s") as one, chronyd(tmp_path, "two", wrong_by="+6s") as two:
        config = servers.config(tmp_path, time=(one, two), date=False)
        done = healthctl("check", "--config", str(config), "-o", "json")
    rows = _rows(done.stdout)
    assert done.returncode == 2
    clock = rows.pop("clock:system")
    assert (clock["status"], clock["reason"], clock["event"]) == ("critical", "offset_exceeded", None)
    assert clock["measurements"]["offset_seconds"] == pytest.approx(-6, abs=0.5)
    assert {row["status"] for row in rows.values()} == {"ok", "skipped"}


def test_one_time_server_six_seconds_ahead_is_a_warning(servers: Servers, tmp_path: Path) -> None:
    """A single time server may itself be wrong: warning, exit code 1."""
    with chronyd(tmp_path, wrong_by="+6s") as port:
        config = servers.config(tmp_path, time=(port,), date=False)
        done = healthctl("check", "--config", str(config), "--only", "clock", "-o", "json")
    (clock,) = _rows(done.stdout).values()
    assert (done.returncode, clock["status"], clock["reason"]) == (1, "warning", "offset_exceeded")


def test_only_runs_what_was_asked_for(servers: Servers, tmp_path: Path) -> None:
    """`--only tcp`: no other row, and the name is resolved all the same."""
    done = healthctl("check", "--config", str(servers.config(tmp_path)), "--only", "tcp", "-o", "json")
    rows = _rows(done.stdout)
    assert {row_id: row["status"] for row_id, row in rows.items()} == {
        f"tcp:wiki.corp.test:{servers.wiki}": "ok",
        "tcp:*.corp.test": "skipped",
    }
    assert done.returncode == 0


def test_nagios_form(servers: Servers, tmp_path: Path) -> None:
    """`-o nagios`: one line, with the offset and the failing Resources as performance data."""
    done = healthctl("check", "--config", str(servers.config(tmp_path)), "-o", "nagios")
    assert done.returncode == 0
    (line,) = done.stdout.splitlines()
    assert re.fullmatch(r"CONNECTOR OK: [^|]+ \| 'clock_offset'=-?\d+\.\d+s;-1:1;-5:5 'failing'=0;;;0;2", line), line


def test_black_box_needs_no_file() -> None:
    """`--resource` alone judges an address, with neither a file nor a word about one."""
    with listening() as sock:
        endpoint = f"127.0.0.1:{port_of(sock)}"
        done = healthctl("check", "--only", "tcp", "--resource", endpoint, env={"CONNECTOR_HEALTH_CONFIG": "/no/file"})
    assert (done.returncode, done.stderr) == (0, "")
    assert endpoint in done.stdout


def test_time_limit_of_the_command(tmp_path: Path) -> None:
    """`--timeout`: what is unfinished is unknown, and the command ends long before the checks would."""
    with silent_nameserver() as server:
        config = write_config(tmp_path, server.getsockname()[1], timeout="30s")
        done = healthctl("check", "--config", str(config), "--only", "dns,tcp", "--timeout", "500ms", "-o", "json")
    assert done.returncode == 3
    assert {(row["status"], row["reason"]) for row in _rows(done.stdout).values()} == {("unknown", "timeout")}
    assert 0.5 <= json.loads(done.stdout)["duration_seconds"] < 5


def test_interrupt_leaves_no_traceback(tmp_path: Path) -> None:
    """Ctrl-C while it waits: exit code 3, one line, at once."""
    with silent_nameserver() as server:
        config = write_config(tmp_path, server.getsockname()[1], timeout="30s")
        with started(tmp_path, "check", "--config", str(config), "--only", "dns") as process:
            server.recv(512)  # it has asked, and waits
            code, seconds = process.end(signal.SIGINT)
            assert (code, process.stdout, process.log.strip()) == (3, "", "healthctl: interrupted")
            assert seconds < 2


def test_reader_that_leaves_early(tmp_path: Path) -> None:
    """`healthctl check | head -1`: the first line, the verdict's exit code, and not a word more."""
    resources = f"resources: [{{name: A, address: 127.0.0.1, tcp: [{quiet_port()}]}}]\n"
    config = quiet_config(tmp_path, resources + "schedule: {confirm: {interval: 10ms}}")
    command = shlex.join([*HEALTHCTL, "check", "--config", str(config), "--only", "tcp", "-o", "json"])
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1; exit ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, check=False, env=environment(), timeout=30,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (2, "{\n", "")


NASTY = "x\x1b[31my\u202ez\x07"
LABEL = b"x\x1b[31m\xe2\x80\xaey\x07"


def _raw(text: str) -> set[str]:
    """Return the characters that a terminal might obey."""
    return {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")}


@pytest.mark.parametrize("output", ["table", "json", "nagios", "prometheus"])
async def test_what_strangers_say_does_nothing_to_a_terminal(output: str, tmp_path: Path) -> None:
    """Names in the file, in DNS answers and in certificates: escaped in every format, on both streams."""
    stranger, port = Authority(tmp_path, organization=NASTY), quiet_port()
    target = bytes([len(LABEL)]) + LABEL + b"\x04test\x00"

    def answer(query: bytes) -> bytes:
        # A CNAME to a name of control characters, as raw bytes: no library would write it.
        head = query[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"
        return head + query[12:] + b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c" + len(target).to_bytes(2) + target

    def on_udp(query, send) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        name = query.question[0].name.to_text()
        known = name.startswith(("acme.", "wiki."))
        send(reply(query, f"{name} 60 IN A 127.0.0.1") if known else answer(query.to_wire()))

    with nginx(tmp_path, Site(port=port, pair=stranger.issue("acme.test"))):
        async with scripted(on_udp) as nameserver:
            config = tmp_path / "nasty.yaml"
            config.write_text(
                'connector: {name: "x\\e[31my\\u202ez\\a", remote_network: "\\e]0;x\\a", runtime: none}\n'
                "clock: {servers: [], controller_date: true}\n"
                f"control_plane: {{urls: ['https://acme.test:{port}']}}\n"
                f"relays: {{endpoints: []}}\nprovider: {{enabled: never}}\nchecks: {{host: false}}\n"
                f"dns: {{nameservers: ['{nameserver.endpoint}'], search: [], timeout: 500ms}}\n"
                "schedule: {timeout: 1s, confirm: {interval: 10ms}}\n"
                f"state: {{path: {tmp_path / 'state.db'}}}\n"
                "resources:\n"
                '  - {name: "x\\e[31my\\u202ez\\a", address: alias.test, tcp: [443], labels: {team: "\\e[2J\\u2066"}}\n'
                f'  - {{name: "\\u200bWiki\\r", address: wiki.test, tcp: [{quiet_port()}], alias: "\\x9b31m"}}\n'
            )
            process = await asyncio.create_subprocess_exec(
                *HEALTHCTL, "check", "--config", str(config), "-o", output, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
            )  # fmt: skip
            try:
                async with asyncio.timeout(30):
                    out, err = (text.decode() for text in await process.communicate())
            finally:
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
    assert process.returncode == 2, err
    assert (_raw(out), _raw(err)) == (set(), set())
    assert "Traceback" not in err
    if output == "json":
        rows = _rows(out)
        assert rows["dns:alias.test"]["reason"] == "no_address"
        assert "x\\027[31m" in rows["dns:alias.test"]["summary"], "the alias came that far"
        assert r"issuer x\x1b[31my\u202ez\x07" in rows[f"control_plane:acme.test:{port}"]["summary"]
