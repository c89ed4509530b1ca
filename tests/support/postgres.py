"""A real PostgreSQL at its default log level; it refuses to run as root, so it runs as Debian's user for it."""

import contextlib
import os
import pwd
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import find, require, running

PORT = 5432
USER = "postgres"
LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Postgres:
    """The running server."""

    address: str
    log: Path

    def login(self, before: Sequence[str] = ()) -> str:
        """Log in as a user would, by a command that stands elsewhere; return "1", or the error."""
        command = [*before, find("psql") or "", "--no-psqlrc", "--tuples-only", "--no-align", "--command=SELECT 1"]
        target = f"host={self.address} port={PORT} user={USER} dbname=postgres connect_timeout=5"
        done = subprocess.run([*command, target], capture_output=True, text=True, check=False, timeout=LIMIT_S)
        return (done.stdout + done.stderr).strip()

    def lines(self) -> list[str]:
        """Return what it has logged."""
        return self.log.read_text(errors="replace").splitlines()


@contextlib.contextmanager
def postgres(folder: Path, before: Sequence[str], address: str) -> Iterator[Postgres]:
    """Run one at `address` until the block ends, without passwords; `folder` must be one that others may enter."""
    require("root", "initdb", "psql", "setpriv")
    data, made = folder / "postgres", Postgres(address, folder / "postgres.log")
    data.mkdir(mode=0o700)
    owner = pwd.getpwnam(USER)
    os.chown(data, owner.pw_uid, owner.pw_gid)
    initdb = Path(find("initdb") or "")
    as_user = [find("setpriv") or "", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    init = [str(initdb), "--pgdata", str(data), "--no-sync", "--no-instructions", "--auth=trust", "--no-locale"]
    subprocess.run([*as_user, *init], check=True, capture_output=True, timeout=LIMIT_S)
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write("host all all all trust\n")
    argv = [*before, *as_user, str(initdb.with_name("postgres")), "-D", str(data), "-h", address, "-p", str(PORT),
            "-k", str(data), "-F"]  # fmt: skip
    with running(argv, made.log, lambda: made.login(before) == "1"):
        yield made
