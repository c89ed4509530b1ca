import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli.group import COMMANDS
from tests.support.cli import COMMAND, TIMEOUT_S, environment, healthctl, silent_nameserver, write_config

HEAVY = ("asyncio", "aiohttp", "dns", "rich", "msgspec", "yaml", "jinja2", "prometheus_client", "ssl", "cryptography")


def test_version_and_help_end_with_0() -> None:
    """Asking for the version or for help is no error, and both go to standard output."""
    assert healthctl("--version").stdout == "healthctl 0.1.0\n"
    for arguments in (["--help"], ["-h"], *([name, "--help"] for name in COMMANDS if name != "demo")):
        done = healthctl(*arguments)
        assert (done.returncode, done.stderr) == (0, ""), arguments
        assert done.stdout.startswith("Usage: healthctl")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["--no-such-option"],
        ["check", "--no-such-option"],
        ["check", "-o", "xml"],
        ["check", "--only", "tcpp", "--network", "acme"],
        ["check", "--only", ",", "--network", "acme"],
        ["check", "--timeout", "soon", "--network", "acme"],
        ["check", "--timeout", "0", "--network", "acme"],
        ["check", "--config", "/no/such/file"],
        ["check", "--config", "/no/such/file", "--network", "acme"],
        ["check", "--resource", "127.0.0.1:99999"],
        ["check", "--resource", "127.0.0.1:1", "Nobody"],
        ["check", "--resource", "127.0.0.1:1", "--output-file", "/no/such/dir/file"],
        ["status", "-o", "xml"],
        ["status", "--config", "/no/such/file"],
        ["explain", "no-such-thing"],
        ["completion", "cobol"],
        ["run", "--log.level", "loud"],
        ["run", "--log.format", "xml"],
        ["run", "--web.listen-address", "host:notaport"],
    ],
)
def test_usage_and_config_errors_are_3(arguments: list[str]) -> None:
    """Wrong usage and a wrong configuration end with 3, tell why on standard error, and print no result."""
    done = healthctl(*arguments)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_a_fault_of_ours_is_unknown_and_not_a_warning() -> None:
    """An unexpected exception shows its traceback and ends with 3; Python's own exit code 1 means warning to others."""
    code = "import sys; from daemon.cli.main import main; sys.argv = None; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    assert done.returncode == 3
    assert "Traceback" in done.stderr


def test_a_mistyped_command_names_the_nearest() -> None:
    """A typo is answered with the command that was meant."""
    assert "did you mean 'check'?" in healthctl("chek").stderr


def test_the_version_costs_hardly_more_than_python() -> None:
    """An inventory that asks every host for it pays for no library, not even the command line's."""
    code = "import sys\nfrom daemon.cli.main import main\nsys.argv[1:] = ['--version']\nmain()\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=TIMEOUT_S)
    version, modules = done.stdout.splitlines()
    assert version == "healthctl 0.1.0"
    ours = {name for name in modules.split() if name.split(".")[0] in ("daemon", "checks")}
    assert ours == {"daemon", "daemon.cli", "daemon.cli.exits", "daemon.cli.main", "daemon.version"}
    assert not {"click", "dataclasses", "inspect", "logging", "re"} & set(modules.split())


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["check", "--help"], ["status", "--help"], ["run", "--help"]]
)
def test_nothing_heavy_is_imported_for_a_short_answer(arguments: list[str]) -> None:
    """Version, help and completion import neither asyncio nor any library of the checks."""
    code = (
        "import sys\nfrom daemon.cli.main import main\n"
        f"sys.argv[1:] = {arguments!r}\nmain()\n"
        f"loaded = [m for m in {HEAVY!r} if m in sys.modules]\n"
        "sys.exit(' '.join(loaded) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_us_back(shell: str) -> None:
    """The script of each shell names our program and variable."""
    done = healthctl("completion", shell)
    assert done.returncode == 0
    assert "_HEALTHCTL_COMPLETE" in done.stdout


def test_completion_completes_commands_and_options() -> None:
    """What the script asks for is answered: commands, and options of a command."""
    env = {"_HEALTHCTL_COMPLETE": "bash_complete", "COMP_WORDS": "healthctl ex", "COMP_CWORD": "1"}
    assert healthctl(env=env).stdout == "plain,explain\n"
    env |= {"COMP_WORDS": "healthctl check --out", "COMP_CWORD": "2"}
    assert "plain,--output-file" in healthctl(env=env).stdout


@pytest.mark.parametrize("command", ["--help", "explain", "check --help", "completion bash"])
def test_a_closed_pipe_is_quiet(command: str) -> None:
    """`healthctl … | head -1` shows one line, no traceback, and the exit code that it would have had."""
    script = f'{" ".join(map(_quote, COMMAND))} {command} | head -1; exit "${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False, timeout=TIMEOUT_S, env=environment()
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1


def _quote(word: str) -> str:
    return f"'{word}'"


@pytest.mark.parametrize("command", ["--help", "explain"])
def test_a_pipe_closed_from_the_start_is_quiet(command: str) -> None:
    """Even if nobody ever reads, the interpreter's last flush does not complain."""
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen([*COMMAND, command], stdout=write, stderr=subprocess.PIPE, env=environment()) as process:
        os.close(write)
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("explain >/dev/full", 3, "healthctl: standard output: No space left on device\n"),
        (
            "check --only tcp --resource 10.0.0.0/8 >/dev/full",
            3,
            "healthctl: standard output: No space left on device\n",
        ),
        ("explain >&-", 0, ""),
        ("chek 2>&-", 3, ""),
        ("--version >&- 2>&-", 0, ""),
    ],
)
def test_a_full_disk_and_a_missing_stream_leave_no_traceback(command: str, code: int, message: str) -> None:
    """What can't be written is told in one line; a stream that was closed before the start is no reason to fail."""
    script = f"{' '.join(map(_quote, COMMAND))} {command}"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False, timeout=TIMEOUT_S, env=environment()
    )
    assert (done.returncode, done.stderr) == (code, message)


def test_a_narrow_encoding_shows_escapes(tmp_path: Path) -> None:
    """Where the terminal knows ASCII only, other letters are escaped, and nothing fails."""
    config = tmp_path / "config.yaml"
    config.write_text("connector: {name: x}\nresources: [{name: Bücher, address: 10.0.0.0/8}]\n", encoding="utf-8")
    arguments = ("check", "--only", "tcp", "--config", str(config))
    assert "(Bücher)" in healthctl(*arguments).stdout
    assert "(B\\xfccher)" in healthctl(*arguments, env={"PYTHONIOENCODING": "ascii"}).stdout


INTERRUPTED_IMPORT = """
import signal, sys
class Descriptor:
    def __set_name__(self, owner, name):
        signal.raise_signal(signal.SIGINT)
class Finder:
    def find_spec(self, name, *rest):
        if name == "daemon.cli.group":
            type("Owner", (), {"descriptor": Descriptor()})
sys.meta_path.insert(0, Finder())
from daemon.cli.main import main
sys.exit(main())
"""


def test_ctrl_c_in_the_middle_of_an_import_ends_it() -> None:
    """Where Python would make another exception of it, or swallow it, Ctrl-C ends the command all the same."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        env=environment(),
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "healthctl: interrupted\n")


def test_ctrl_c_leaves_no_traceback_and_no_file(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a check ends with 3 and one line; no half result is left behind."""
    with silent_nameserver() as server:
        config = write_config(tmp_path, server.getsockname()[1])
        arguments = ["check", "--only", "dns", "--config", str(config), "--output-file", str(tmp_path / "out")]
        with subprocess.Popen(
            [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
        ) as process:
            server.recvfrom(512)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, out, err) == (3, "", "\nhealthctl: interrupted\n")
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]
