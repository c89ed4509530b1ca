import json
import os
import pty
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checks.model import CheckName
from tests.support.cli import COMMAND, TIMEOUT_S, environment, healthctl, silent_nameserver, write_config
from tests.support.servers import free_port

ANSI = re.compile(r"\x1b\[[0-9;]*[mK]|\r")


@pytest.fixture
def listener() -> Iterator[str]:
    """Return the endpoint of a server that accepts."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    """Return an endpoint on which nothing listens."""
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def refusing(tmp_path: Path, closed: str) -> str:
    """Return a configuration whose one Resource refuses, looked at again after 10 ms instead of 2 s."""
    host, port = closed.split(":")
    config = tmp_path / "config.yaml"
    config.write_text(
        "connector: {name: office-1}\nschedule: {confirm: {interval: 10ms}}\n"
        f"resources: [{{name: Orders DB, address: {host}, tcp: [{port}]}}]\n"
    )
    return str(config)


def _json(*arguments: str) -> dict[str, Any]:
    done = healthctl("check", "-o", "json", *arguments)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_ok_is_0(listener: str) -> None:
    """A port that accepts: exit code 0, nothing on standard error, the verdict last."""
    done = healthctl("check", "--only", "tcp", "--resource", listener)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("SUMMARY  OK: The Resource answers.\n")
    assert "\x1b" not in done.stdout


def test_critical_is_2(refusing: str, closed: str) -> None:
    """A refused port: exit code 2, whom it hits, the reason, and the command to repeat it by hand."""
    host, port = closed.split(":")
    done = healthctl("check", "--only", "tcp", "--config", refusing)
    assert (done.returncode, done.stderr) == (2, "")
    assert re.search(rf"CRITICAL  {re.escape(closed)} +refused the connection", done.stdout)
    assert 'Users of Orders DB meet "Unable to connect"\n' in done.stdout
    by_hand = (f"nc -vz -w 5 {host} {port}\n", f"nmap -Pn -sS -p {port} {host}   # as root; needs nmap\n")
    assert f"REPEAT  {by_hand[os.geteuid() == 0]}" in done.stdout
    assert "healthctl explain refused\n" in done.stdout


def test_warning_is_1(tmp_path: Path, listener: str) -> None:
    """A port that should be down and is up: exit code 1."""
    host, port = listener.split(":")
    config = tmp_path / "config.yaml"
    config.write_text(
        f"connector: {{name: x}}\nresources: [{{name: Old, address: {host}, tcp: [{port}], expect: down}}]\n"
    )
    done = healthctl("check", "--only", "tcp", "--config", str(config))
    assert done.returncode == 1
    assert "SUMMARY  WARNING: " in done.stdout


def test_unknown_is_3_and_the_whole_command_is_bounded(tmp_path: Path) -> None:
    """What --timeout cuts off is unknown, on standard output like any verdict."""
    with silent_nameserver() as server:
        config = write_config(tmp_path, server.getsockname()[1])
        done = healthctl("check", "--only", "dns", "--timeout", "300ms", "--config", str(config), "-o", "json")
    assert done.returncode == 3
    whole = json.loads(done.stdout)
    assert [(r["id"], r["status"], r["reason"]) for r in whole["checks"]] == [("dns:orders.test", "unknown", "timeout")]
    assert whole["duration_seconds"] >= 0.3


def test_no_verdict_on_any_resource_is_3() -> None:
    """When Resources were asked for and nothing could be probed, the whole is unknown."""
    done = healthctl("check", "--only", "tcp", "--resource", "10.0.0.0/8")
    assert done.returncode == 3
    assert "SUMMARY  UNKNOWN: None of 1 Resource was judged; 1 not probed.\n" in done.stdout


def test_json_is_the_document_of_one_look(listener: str) -> None:
    """The document: no held state, the seat, and the row of the endpoint."""
    whole = _json("--only", "tcp", "--resource", listener)
    assert list(whole) == ["schema", "version", "connector", "remote_network", "vantage", "confidence", "started_at",
                           "duration_seconds", "status", "summary", "checks", "diagnosis", "connector_log", "learned",
                           "predictions", "alerts", "changes", "probing"]  # fmt: skip
    assert (whole["status"], whole["vantage"], whole["confidence"]) == ("ok", "host", "host_view")
    (row,) = whole["checks"]
    assert (row["id"], row["state"], row["since"], row["event"]) == (f"tcp:{listener}", None, None, "none")


def test_names_narrow_to_these_resources(tmp_path: Path, listener: str, closed: str) -> None:
    """RESOURCE names limit what is probed and judged; a mistyped one names the nearest."""
    up, down = listener.split(":"), closed.split(":")
    config = tmp_path / "config.yaml"
    config.write_text(
        "connector: {name: x}\nresources:\n"
        f"  - {{name: Orders DB, address: {up[0]}, tcp: [{up[1]}]}}\n"
        f"  - {{name: Wiki, address: {down[0]}, tcp: [{down[1]}]}}\n"
    )
    whole = _json("--only", "tcp", "--config", str(config), "Orders DB")
    assert [row["id"] for row in whole["checks"]] == [f"tcp:{listener}"]
    assert (whole["status"], whole["summary"]) == ("ok", "The Resource answers.")
    done = healthctl("check", "--only", "tcp", "--config", str(config), "Order DB")
    assert (done.returncode, done.stdout) == (3, "")
    assert "unknown Resource 'Order DB': did you mean 'Orders DB'?" in done.stderr


def test_only_takes_lists_and_repeats(tmp_path: Path, listener: str) -> None:
    """`--only dns,tcp` and two flags mean the same; hyphens and case do not matter."""
    for only in (["--only", "dns,tcp"], ["--only", "DNS", "--only", "tcp"]):
        assert {row["check"] for row in _json(*only, "--resource", listener)["checks"]} == {"tcp"}
    done = healthctl("check", "--only", "control-plan", "--resource", listener)
    assert "--only: unknown check 'control-plan': did you mean 'control_plane'?" in done.stderr
    config = tmp_path / "config.yaml"
    config.write_text("connector: {name: x}\nchecks: {nat: false}\n")
    done = healthctl("check", "--only", "nat", "--config", str(config))
    assert (done.returncode, done.stdout) == (3, "")
    assert "nat is switched off" in done.stderr


def test_config_is_found_by_flag_then_by_variable(tmp_path: Path, listener: str) -> None:
    """--config wins over $CONNECTOR_HEALTH_CONFIG; --resource needs neither."""
    host, port = listener.split(":")
    for name in ("flag", "variable"):
        (tmp_path / name).write_text(
            f"connector: {{name: {name}}}\nresources: [{{name: A, address: {host}, tcp: [{port}]}}]\n"
        )
    env = {"CONNECTOR_HEALTH_CONFIG": str(tmp_path / "variable")}
    arguments = ("check", "--only", "tcp", "-o", "json")
    assert json.loads(healthctl(*arguments, env=env).stdout)["connector"] == "variable"
    found = healthctl(*arguments, "--config", str(tmp_path / "flag"), env=env)
    assert json.loads(found.stdout)["connector"] == "flag"
    found = healthctl(*arguments, "--resource", listener, env={"CONNECTOR_HEALTH_CONFIG": "/no/such/file"})
    assert found.returncode == 0


def test_every_config_problem_is_told_with_its_place(tmp_path: Path) -> None:
    """All mistakes at once on standard error, as file:line:column, and exit code 3."""
    config = tmp_path / "config.yaml"
    config.write_text("connector: {name: x}\nclok: {}\nschedule: {interval: soon}\n")
    done = healthctl("check", "--config", str(config))
    assert (done.returncode, done.stdout) == (3, "")
    assert f"healthctl: {config}:2:1: " in done.stderr
    assert f"healthctl: {config}:3:" in done.stderr


@pytest.mark.parametrize(
    ("output", "start"),
    [
        ("table", "Connector "),
        ("json", "{\n"),
        ("nagios", "CONNECTOR OK: "),
        ("prometheus", "# HELP connector_health_"),
    ],
)
def test_output_file_takes_any_format(tmp_path: Path, listener: str, output: str, start: str) -> None:
    """The result goes to the file alone; the exit code stays the verdict's."""
    target = tmp_path / "out"
    done = healthctl("check", "--only", "tcp", "--resource", listener, "-o", output, "--output-file", str(target))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert target.read_text().startswith(start)
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_nagios_of_a_real_run(refusing: str, closed: str) -> None:
    """One line for the plugin's reader, then the problem."""
    done = healthctl("check", "--only", "tcp", "--config", refusing, "-o", "nagios")
    assert done.returncode == 2
    first, second = done.stdout.splitlines()
    assert first == ("CONNECTOR CRITICAL: 1 of 1 Resource would fail now: 1 unable to connect. | 'failing'=1;;;0;1")
    assert second.startswith(f"CRITICAL tcp:{closed} (Orders DB): {closed} refused the connection in ")


def test_prometheus_has_states_only(listener: str) -> None:
    """For the textfile collector: gauges, no counter, histogram or process figure."""
    text = healthctl("check", "--only", "tcp", "--resource", listener, "-o", "prometheus").stdout
    types = {line.split(" ")[3] for line in text.splitlines() if line.startswith("# TYPE ")}
    assert types == {"gauge"}
    assert "\nprocess_" not in text
    assert re.search(r"^connector_health_resource_tcp_up\{.*\} 1$", text, re.MULTILINE)


def test_a_closed_pipe_keeps_the_verdict(refusing: str) -> None:
    """`healthctl check | head -1` ends with the verdict's code and without a word."""
    arguments = ["check", "--only", "tcp", "--config", refusing]
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen([*COMMAND, *arguments], stdout=write, stderr=subprocess.PIPE, env=environment()) as process:
        os.close(write)
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 2


def _on_terminal(arguments: list[str], env: dict[str, str]) -> tuple[int, str]:
    """Run on a terminal of its own, 80 columns wide; return the exit code and all that it showed."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments], stdin=follower, stdout=follower, stderr=follower,
        env=environment({"TERM": "xterm", "COLUMNS": "80", **env}), start_new_session=True,
    ) as process:  # fmt: skip
        os.close(follower)
        shown = b""
        try:
            while chunk := os.read(leader, 65536):
                shown += chunk
        except OSError:  # Linux tells the end of a terminal as EIO
            pass
        process.wait(TIMEOUT_S)
    os.close(leader)
    return process.returncode, shown.decode()


def test_a_terminal_gets_colour_and_folded_lines(refusing: str) -> None:
    """On a terminal the table is coloured and at most as wide; with NO_COLOR it is not coloured."""
    arguments = ["check", "--only", "tcp", "--config", refusing]
    code, shown = _on_terminal(arguments, {})
    assert code == 2
    assert "\x1b[1;31mCRITICAL\x1b[0m" in shown
    assert all(len(ANSI.sub("", line)) <= 80 for line in shown.splitlines())
    assert "\x1b[1;31m" not in _on_terminal(arguments, {"NO_COLOR": "1"})[1]
    assert "\x1b" not in _on_terminal(arguments, {"TERM": "dumb"})[1]


def test_progress_is_on_a_terminal_only(tmp_path: Path) -> None:
    """What takes longer than a second shows progress on a terminal, and nothing of it elsewhere."""
    with silent_nameserver() as server:
        config = write_config(tmp_path, server.getsockname()[1])
        arguments = ["check", "--only", "dns", "--timeout", "1500ms", "--config", str(config)]
        elsewhere = subprocess.Popen(  # side by side: both wait for the same silence
            [*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment()
        )
        with elsewhere:
            shown = _on_terminal(arguments, {})[1]
            assert elsewhere.communicate(timeout=TIMEOUT_S)[1] == b""
    assert "checking… 0/1, 1 waiting for orders.test" in shown
    assert "checking…" not in shown[shown.rindex("\r\x1b[K") :]


def test_names_in_a_config_do_nothing_to_a_terminal(tmp_path: Path, closed: str) -> None:
    """A Resource whose name is an escape sequence is shown escaped, on screen and in every format."""
    host, port = closed.split(":")
    config = tmp_path / "config.yaml"
    config.write_text(
        "connector: {name: x}\nschedule: {confirm: {interval: 10ms}}\n"
        f'resources: [{{name: "a\\e[31m\\u202eb", address: {host}, tcp: [{port}]}}]\n'
    )
    for output in ("table", "json", "nagios", "prometheus"):
        done = healthctl("check", "--only", "tcp", "--config", str(config), "-o", output)
        assert done.returncode in (2, 3)
        assert not {"\x1b", "\u202e"} & set(done.stdout + done.stderr)


def test_every_check_can_be_asked_for() -> None:
    """--only knows each check by its contract name."""
    done = healthctl("check", "--only", "all", "--network", "acme")
    assert all(check in done.stderr for check in CheckName)


def test_resource_flags_take_the_rest_from_a_file_that_is_named(tmp_path: Path, listener: str, closed: str) -> None:
    """With --config the file's settings hold for the addresses of --resource; its own Resources are left alone."""
    down = closed.split(":")
    config = tmp_path / "config.yaml"
    config.write_text(
        "connector: {name: from-file}\nschedule: {confirm: {interval: 1ms}}\n"
        f"resources: [{{name: Wiki, address: {down[0]}, tcp: [{down[1]}]}}]\n"
    )
    whole = _json("--only", "tcp", "--config", str(config), "--resource", listener)
    assert whole["connector"] == "from-file"
    assert [row["id"] for row in whole["checks"]] == [f"tcp:{listener}"]
    broken = tmp_path / "broken.yaml"
    broken.write_text("conector: {}\n")
    environment = {"CONNECTOR_HEALTH_CONFIG": str(broken)}
    done = healthctl("check", "--only", "tcp", "--resource", listener, env=environment)
    assert done.returncode == 0, "the flags need no file: the one of the environment is not read"


def test_proxy_variables_are_reported(listener: str) -> None:
    """Who has set a proxy is told that no connection uses it; its value may hold a password and is not shown."""
    done = healthctl("check", "--resource", listener, "--only", "tcp", env={"https_proxy": "http://u:secret@p:1"})
    assert done.stderr == "", "a narrowed table is for a script"
    done = healthctl("config", "check", "--config", "/dev/null", env={"https_proxy": "http://u:secret@p:1"})
    assert "https_proxy is set and ignored" in done.stderr
    assert "secret" not in done.stderr
