"""A real MariaDB that blocks a host after three connection errors, told the name of its one client.

MariaDB counts only errors of hosts whose name it could look up and confirm, and never those of loopback: so it runs in
a network namespace, with a hosts file of its own in a mount namespace of its own.
Source: MariaDB's reference for max_connect_errors and performance_schema.host_cache.
"""

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import find, require, running

PORT = 3306
MAX_ERRORS = 3
CLIENT_NAME = "prober.test"
USER, PASSWORD = "app", "not-a-secret"
LIMIT_S = 20.0
OWN_HOSTS = ("sh", "-c", 'mount --bind "$1" /etc/hosts && shift && exec "$@"', "sh")
CACHE = "SELECT ip, host_validated, sum_connect_errors FROM performance_schema.host_cache"


@dataclass(frozen=True, slots=True)
class MariaDb:
    """The running server, asked through its own socket."""

    address: str
    socket: Path

    def sql(self, statement: str) -> str:
        """Run a statement as root; return its rows, tabs between columns, or the error."""
        return _client("--socket", str(self.socket), "--user=root", f"--execute={statement}")

    def host_cache(self) -> list[list[str]]:
        """Return what it remembers of each host: address, whether its name was confirmed, errors that count."""
        return [line.split("\t") for line in self.sql(CACHE).splitlines()]

    def counter(self, name: str) -> int:
        """Return a counter of the whole server."""
        return int(self.sql(f"SHOW GLOBAL STATUS LIKE '{name}'").split("\t")[1])

    def login(self, before: Sequence[str]) -> str:
        """Log in as a user would, by a command that stands elsewhere; return "1", or the error."""
        return _client(
            "--skip-ssl", "--host", self.address, f"--port={PORT}", "--connect-timeout=5", f"--user={USER}",
            f"--password={PASSWORD}", "--execute=SELECT 1", before=before,
        ).strip()  # fmt: skip

    def forget(self) -> None:
        """Empty the host cache: nobody is blocked any more."""
        assert self.sql("FLUSH HOSTS") == ""


def _client(*arguments: str, before: Sequence[str] = ()) -> str:
    command = [*before, find("mariadb") or "mariadb", "--no-defaults", "--batch", "--skip-column-names", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    return done.stdout + done.stderr


@contextlib.contextmanager
def mariadb(folder: Path, before: Sequence[str], address: str, client: str) -> Iterator[MariaDb]:
    """Run one at `address` until the block ends; `before` is a command that starts it in its network namespace."""
    require("root", "mariadbd", "mariadb-install-db", "mariadb")
    data, made = folder / "mariadb", MariaDb(address, folder / "mariadb.sock")
    install = [
        find("mariadb-install-db") or "", "--no-defaults", f"--datadir={data}", "--user=root", "--skip-test-db",
        "--auth-root-authentication-method=normal",
    ]  # fmt: skip
    subprocess.run(install, check=True, capture_output=True, timeout=LIMIT_S)
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{client} {CLIENT_NAME}\n")
    argv = [
        *before, *OWN_HOSTS, str(hosts), find("mariadbd") or "", "--no-defaults", "--user=root", f"--datadir={data}",
        f"--socket={made.socket}", f"--pid-file={folder / 'mariadb.pid'}", f"--bind-address={address}",
        f"--port={PORT}", f"--max-connect-errors={MAX_ERRORS}", "--performance-schema=ON",
        "--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0",
    ]  # fmt: skip
    with running(argv, folder / "mariadb.log", lambda: made.sql("SELECT 1") == "1\n"):
        assert made.sql(f"CREATE USER {USER}@'{CLIENT_NAME}' IDENTIFIED BY '{PASSWORD}'") == ""
        yield made
