"""`healthctl status` against the real web server: how it finds the daemon, and what it prints and returns."""

import json
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from checks.model import Reason, Status
from checks.net.endpoint import Endpoint
from daemon.config.schema import Web
from daemon.report import report
from tests.support.observed import everything
from tests.support.servers import free_port
from tests.support.statuses import status, write_web
from tests.support.views import Stage, plain_job
from tests.support.web_access import Folder, hashed
from tests.support.webs import backend, local, serving

ROOT = os.geteuid() == 0


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Serve the view of which everything is known, on a port of loopback."""
    async with serving(local(), backend(everything)) as server:
        yield server.addresses[0].port


async def test_the_daemon_is_asked_on_its_address(port: int, tmp_path: Path) -> None:
    """The table on standard output, the exit code of the verdict, nothing on standard error."""
    done = await status("--config", write_web(tmp_path, f"{{listen: ['127.0.0.1:{port}']}}"))
    assert (done.code, done.err) == (2, "")
    assert done.out.startswith("Connector office-1 in Office, from the Connector's place in the network\n")
    assert "2 restarts while watched, 1 in the last 15 minutes" in done.out
    assert "(recall 93 %)" in done.out
    assert done.out.splitlines()[-1].startswith("SUMMARY  CRITICAL: 2 of 3 Resources would fail now")
    assert "\x1b" not in done.out


async def test_json_is_the_daemons_own_document(port: int) -> None:
    """`-o json` prints what the daemon serves, key by key."""
    done = await status("-o", "json", "--web.listen-address", f"127.0.0.1:{port}")
    assert done.code == 2
    assert json.loads(done.out) == json.loads(json.dumps(report(everything())))


@pytest.mark.parametrize(
    ("verdict", "reason", "code"),
    [
        (Status.OK, None, 0),
        (Status.WARNING, Reason.OFFSET_EXCEEDED, 1),
        (Status.CRITICAL, Reason.OFFSET_EXCEEDED, 2),
        (Status.UNKNOWN, Reason.NO_TIME_SOURCE, 3),
    ],
)
async def test_exit_codes_are_those_of_check(verdict: Status, reason: Reason | None, code: int) -> None:
    """0, 1, 2 and 3 for the worst of the document, whatever the format."""
    stage = Stage([plain_job("clock:system")])
    stage.see("clock:system", verdict, reason)
    async with serving(local(), backend(stage.view)) as server:
        at = str(server.addresses[0])
        assert (await status("--web.listen-address", at)).code == code
        assert (await status("-o", "json", "--web.listen-address", at)).code == code


async def test_the_socket_is_preferred(port: int, tmp_path: Path) -> None:
    """With `web.socket` the daemon is asked there, and on its address only when nobody listens on the socket."""
    path = tmp_path / "api.sock"
    config = write_web(tmp_path, f"{{socket: {path}, listen: ['127.0.0.1:{port}']}}")
    stage = Stage([plain_job("clock:system")])
    stage.see("clock:system")
    async with serving(Web(listen=(), socket=str(path)), backend(stage.view)):
        assert (await status("--config", config)).code == 0
        assert (await status("--alive", "--config", config)).out == f"alive: the daemon answers at unix:{path}\n"
    done = await status("--alive", "--config", config)
    assert (done.code, done.out) == (0, f"alive: the daemon answers at 127.0.0.1:{port}\n")


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "localhost"])
async def test_a_listener_on_any_address_is_reached_through_loopback(host: str, tmp_path: Path) -> None:
    """`0.0.0.0`, `[::]` and localhost are where it listens, not where one connects to."""
    plain = host.strip("[]")
    async with serving(Web(listen=(Endpoint(plain, 0),)), backend(everything)) as server:
        config = write_web(tmp_path, f"{{listen: ['{host}:{server.addresses[0].port}']}}")
        assert (await status("--config", config)).code == 2


async def test_an_address_that_answers_is_preferred_to_one_that_only_has_metrics(port: int, tmp_path: Path) -> None:
    """On a public address the daemon serves no status: the loopback one is asked although it comes second."""
    config = write_web(tmp_path, f"{{listen: ['192.0.2.1:9', '127.0.0.1:{port}']}}")
    assert (await status("--config", config)).code == 2


async def test_a_mistake_elsewhere_in_the_file_is_no_reason_not_to_answer(port: int, tmp_path: Path) -> None:
    """The file may be in the middle of an edit, or name secrets that this user may not read: the daemon still runs."""
    more = "resorces: []\nalerting: {heartbeat_url_file: /no/such/file}\n"
    config = write_web(tmp_path, f"{{listen: ['127.0.0.1:{port}'], config_file: /no/such/file}}", more)
    done = await status("--config", config)
    assert (done.code, done.err) == (2, "")


@pytest.mark.parametrize("web", ["{listen: ['127.0.0.1:99999']}", "{lis", "{listen: 7}"])
async def test_where_it_listens_must_be_readable(web: str, tmp_path: Path) -> None:
    """A mistake in these very keys is told with its place, and nobody is asked."""
    done = await status("--config", write_web(tmp_path, web))
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f"healthctl: {tmp_path}/config.yaml:")


async def test_nobody_there_is_one_line_with_address_and_fix(tmp_path: Path) -> None:
    """Not reachable is unknown: 3, and one line that says where, why and what to do."""
    port = free_port()
    config = write_web(tmp_path, f"{{socket: {tmp_path}/api.sock, listen: ['127.0.0.1:{port}']}}")
    for more in ([], ["--alive"], ["-o", "json"]):
        done = await status("--config", config, *more)
        assert (done.code, done.out) == (3, "")
        assert done.err == (
            f"healthctl: the daemon is not reachable at unix:{tmp_path}/api.sock (no such file or directory) nor at "
            f"127.0.0.1:{port} (connection refused): start it with `healthctl run`, "
            "or name its file with --config\n"
        )


async def test_a_socket_left_behind_is_told_from_one_that_is_missing(tmp_path: Path) -> None:
    """A socket file without a process refuses; a path that can't be one says so."""
    left = tmp_path / "left.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(left))
    done = await status("--alive", "--config", write_web(tmp_path, f"{{socket: {left}, listen: []}}"))
    assert f"unix:{left} (connection refused)" in done.err
    long = tmp_path / ("x" * 120)
    done = await status("--alive", "--config", write_web(tmp_path, f"{{socket: {long}, listen: []}}"))
    assert (done.code, "too long" in done.err, "Traceback" in done.err) == (3, True, False)


async def test_without_any_place_it_says_so(tmp_path: Path) -> None:
    """A daemon without a web server can't be asked."""
    done = await status("--config", write_web(tmp_path, "{listen: []}"))
    assert (done.code, done.err) == (
        3, "healthctl: the configuration has neither web.socket nor web.listen: this daemon can't be asked\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ["--alive", "--watch"],
        ["-o", "xml"],
        ["--config", "/no/such/file"],
        ["--web.listen-address", "127.0.0.1"],
        ["--web.listen-address", "nowhere.example.com:1"],
    ],
)
async def test_usage_errors_are_3(arguments: list[str]) -> None:
    """Wrong usage ends with 3, and says why without a traceback; no name is looked up."""
    done = await status(*arguments)
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("healthctl: ")
    assert "Traceback" not in done.err


async def test_a_refusal_is_told() -> None:
    """What the server says when it refuses is one line."""
    async with serving(local(), backend(lambda: 1 // 0)) as server:  # type: ignore[arg-type, return-value]
        done = await status("--web.listen-address", str(server.addresses[0]))
        assert (done.code, done.out, done.err.count("\n")) == (3, "", 1)
        assert "answered HTTP 500" in done.err
        assert (await status("--alive", "--web.listen-address", str(server.addresses[0]))).code == 0


async def test_the_socket_can_be_named(port: int, tmp_path: Path) -> None:
    """`--web.socket` asks there and nowhere else; it and an address exclude each other."""
    path = tmp_path / "api.sock"
    done = await status("--alive", "--web.socket", str(path))
    assert (done.code, done.out) == (3, "")
    assert f"the daemon is not reachable at unix:{path} (no such file or directory): " in done.err
    async with serving(Web(listen=(), socket=str(path)), backend(everything)):
        assert (await status("--web.socket", str(path))).code == 2
    done = await status("--web.socket", str(path), "--web.listen-address", f"127.0.0.1:{port}")
    assert (done.code, done.out) == (3, "")


@pytest.mark.parametrize(
    ("tls", "users", "said"),
    [
        (
            "",
            "",
            "answered HTTP 400: this address speaks TLS: ask with https://, or on the host itself at the unix socket",
        ),
        (
            None,
            "basic_auth_users: {a: " + hashed("b") + "}\n",
            "answered HTTP 401: a user name and its password are needed",
        ),
    ],
)
async def test_a_guarded_address_says_where_to_ask_instead(
    tls: str | None, users: str, said: str, tmp_path: Path
) -> None:
    """The command line speaks no TLS and knows no password: it is told of the socket, and asks there first."""
    folder, path = Folder(tmp_path), tmp_path / "api.sock"
    async with serving(local(config_file=folder.write(tls, users), socket=str(path)), backend(everything)) as server:
        at = str(server.addresses[0])
        done = await status("--web.listen-address", at)
        assert (done.code, done.out) == (3, "")
        assert f"{at} {said}" in done.err
        config = write_web(tmp_path, f"{{socket: {path}, listen: ['{at}'], config_file: web.yml}}")
        assert (await status("--config", config)).code == 2
