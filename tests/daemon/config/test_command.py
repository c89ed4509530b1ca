import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli.config import run_check
from daemon.config.load import load_config

DATA = Path(__file__).parent / "data"
SMALLEST = DATA / "good" / "smallest.yaml"


def _healthctl(*args: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "import sys; from daemon.cli.main import main; sys.exit(main())", *map(str, args)]
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.run(command, env=clean | environ, capture_output=True, text=True, timeout=30, check=False)


def test_a_good_file_is_ok_on_stdout() -> None:
    """One line on stdout, nothing on stderr, exit 0."""
    done = _healthctl("config", "check", "--config", SMALLEST)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{SMALLEST}: ok, 1 Resource\n", "")


def test_problems_go_to_stderr_with_exit_code_3() -> None:
    """Every problem is a line of stderr that starts with the place; stdout stays empty."""
    bad = DATA / "bad" / "several.yaml"
    done = _healthctl("config", "check", "--config", bad)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == bad.with_suffix(".txt").read_text().replace("bad/", f"{bad.parent}/")


def test_warnings_do_not_change_the_exit_code() -> None:
    """What leaks, also in web.config_file, and proxy variables are named on stderr; the file is ok all the same."""
    done = _healthctl("config", "check", "--config", DATA / "good" / "full.yaml", HTTPS_PROXY="http://a:hunter2@b")
    assert done.returncode == 0
    assert "warning: HTTPS_PROXY is set and ignored" in done.stderr
    assert "basic_auth_users without tls_server_config: who is on the way reads the passwords" in done.stderr
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize(
    "args",
    [("config", "check"), ("config", "--config", SMALLEST, "check"), ("config", "check", "--config", SMALLEST)],
    ids=["environment", "before", "after"],
)
def test_where_the_file_is_named(args: tuple[str | Path, ...]) -> None:
    """The flag wins over the environment, on either side of the subcommand."""
    environment = "/nonexistent" if len(args) > 2 else str(SMALLEST)
    assert _healthctl(*args, CONNECTOR_HEALTH_CONFIG=environment).returncode == 0


def test_what_show_prints_is_a_valid_file(tmp_path: Path) -> None:
    """The output of `config show`, saved, loads to the same configuration."""
    full = DATA / "good" / "full.yaml"
    shown = tmp_path / "shown.yaml"
    shown.write_text(_healthctl("config", "show", "--config", full).stdout)
    assert load_config(shown).config == load_config(full).config


def test_show_never_prints_the_content_of_a_secret(tmp_path: Path) -> None:
    """The names of secret files are shown; what is in them is not even kept."""
    (tmp_path / "secret").write_text("https://hc.example/hunter2")
    (tmp_path / "config.yaml").write_text("alerting: {heartbeat_url_file: secret}")
    done = _healthctl("config", "show", "--config", tmp_path / "config.yaml")
    assert f"heartbeat_url_file: {tmp_path}/secret" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


def test_show_of_a_bad_file_prints_its_problems() -> None:
    """`config show` never shows half a configuration."""
    done = _healthctl("config", "show", "--config", DATA / "bad" / "several.yaml")
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 6


def test_the_schema_is_json() -> None:
    """`config schema` prints one JSON document, without reading any configuration."""
    done = _healthctl("config", "schema", CONNECTOR_HEALTH_CONFIG="/nonexistent")
    assert done.returncode == 0
    assert json.loads(done.stdout)["title"] == "Connector Health configuration"


def test_loading_imports_nothing_that_it_does_not_need() -> None:
    """Start-up time is a feature: no web framework, no click, no asyncio behind the configuration."""
    unwanted = {"asyncio", "click", "aiohttp", "difflib", "rich"}
    code = f"import sys, daemon.config.load; print(sorted({unwanted} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"


def test_the_web_configuration_is_checked_too(tmp_path: Path) -> None:
    """What `web.config_file` names is part of the answer; a credential of the unit is left to its start."""
    (tmp_path / "web.yml").write_text("basic_auth_users: {alice: hunter2}\n")
    config = tmp_path / "config.yaml"
    config.write_text("web: {config_file: web.yml}\n")
    out, err = io.StringIO(), io.StringIO()
    assert run_check(str(config), out, err) == 3
    assert f"{tmp_path}/web.yml:1:27: basic_auth_users.alice: not a bcrypt hash" in err.getvalue()
    assert "hunter2" not in err.getvalue()
    config.write_text("web: {config_file: /run/credentials/connector-health.service/web.yml}\n")
    assert run_check(str(config), out, err) == 0
    assert "a credential of the unit" in err.getvalue()
