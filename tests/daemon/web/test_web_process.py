"""`healthctl run` with a socket and a web configuration by flags: it serves, or says why not and ends."""

from pathlib import Path

from tests.support.cli import healthctl as command
from tests.support.process import healthctl, quiet_config, quiet_port
from tests.support.web_access import Folder, hashed


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    """`--web.socket` and `--web.config.file` win over the configuration, and start from where the command was typed."""
    folder, port = Folder(tmp_path), quiet_port()
    folder.write(None, f"basic_auth_users: {{alice: {hashed('right')}}}\n")
    config = quiet_config(tmp_path, f"web: {{socket: other.sock, listen: ['127.0.0.1:{port}']}}")
    flags = ("--config", str(config), "--web.socket", "here.sock", "--web.config.file", "web.yml")
    with healthctl(tmp_path, "run", *flags, port=port, cwd=tmp_path) as process:
        process.until(lambda: process.get("/-/healthy").status == 401, "asking for a password")
        done = command("status", "--alive", "--web.socket", str(tmp_path / "here.sock"))
        assert (done.returncode, done.stdout) == (0, f"alive: the daemon answers at unix:{tmp_path}/here.sock\n")
        assert not (tmp_path / "other.sock").exists()
        assert process.end()[0] == 0
    assert not (tmp_path / "here.sock").exists()
    assert "Traceback" not in process.log


def test_a_bad_web_configuration_ends_with_3(tmp_path: Path) -> None:
    """The daemon does not start without a protection that was asked for, and says what is wrong with the file."""
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: none.pem, key_file: none.pem}\n")
    config = quiet_config(tmp_path, f"web: {{config_file: web.yml, listen: ['127.0.0.1:{quiet_port()}']}}")
    fault = f'{tmp_path}/web.yml:1:32: tls_server_config.cert_file: no such file, got "{tmp_path}/none.pem"'
    done = command("run", "--config", str(config))
    assert (done.returncode, done.stdout) == (3, "")
    assert fault.replace('"', '\\"') in done.stderr
    assert "Traceback" not in done.stderr
