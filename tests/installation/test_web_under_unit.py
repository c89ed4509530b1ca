"""TLS and users under the real unit, its sandbox included: certificate and key as systemd credentials of root's."""

import json
from pathlib import Path

import pytest

from tests.support.servers import require
from tests.support.unit_lab import CONFIG, DAEMON, Watcher, drop_in, installed, quiet, write
from tests.support.web_access import Folder, hashed

HERE = "/etc/connector-health"
PORT = 19443


@pytest.mark.timeout(300)
def test_credentials(tmp_path: Path) -> None:
    """The daemon, which may not read root's files, serves with them; the command line asks the socket."""
    require("root", "systemd-nspawn", "curl")
    folder = Folder(tmp_path)
    folder.write("min_version: TLS13", f"basic_auth_users: {{alice: {hashed('right')}}}\n")
    names = {"web.yml": folder.file, "cert.pem": tmp_path / "cert.pem", "key.pem": tmp_path / "key.pem"}
    loaded = "".join(f"LoadCredential={name}:{HERE}/secret/{name}\n" for name in names)
    web = f"web: {{listen: ['127.0.0.1:{PORT}'], config_file: /run/credentials/{DAEMON}/web.yml}}\n"
    with installed() as lab, drop_in(lab, DAEMON, f"[Service]\n{loaded}"):
        for name, file in names.items():
            write(lab, f"{HERE}/secret/{name}", file.read_text(), mode=0o600)
        write(lab, f"{HERE}/ca.pem", folder.ours.ca_file.read_text())
        write(lab, CONFIG, quiet("{name: office-1, runtime: none}", web))
        assert "a credential of the unit" in lab.run(
            ["sh", "-c", "/opt/connector-health/bin/healthctl config check 2>&1"]
        )
        lab.run(f"systemctl start {DAEMON}")
        assert Watcher(lab).status()["connector"] == "office-1"
        asked = f"curl -sS --cacert {HERE}/ca.pem https://localhost:{PORT}/api/v1/status"
        assert "a user name and its password are needed here" in lab.run(asked)
        assert json.loads(lab.run(f"{asked} --user alice:right"))["connector"] == "office-1"
        assert "alive" in lab.run("/opt/connector-health/bin/healthctl status --alive")
