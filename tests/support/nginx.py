"""A real nginx on loopback, with as many sites as a test needs."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.pki import KeyPair
from tests.support.servers import accepts, require, running


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One `server` block: where it listens, its certificate (None: plain HTTP), and its directives."""

    port: int
    pair: KeyPair | None = None
    address: str = "127.0.0.1"
    directives: str = 'return 200 "";'
    ssl: str = ""

    def block(self) -> str:
        """Return the block as nginx reads it."""
        where = f"[{self.address}]" if ":" in self.address else self.address
        tls = f"ssl_certificate {self.pair.chain}; ssl_certificate_key {self.pair.key};" if self.pair else ""
        listen = f"listen {where}:{self.port}{' ssl' if self.pair else ''};"
        return f"server {{ {listen} {tls} {self.ssl} {self.directives} }}"


@contextlib.contextmanager
def nginx(folder: Path, *sites: Site) -> Iterator[Path]:
    """Run nginx with these sites until the block ends; yields its access log."""
    require("nginx")
    access = folder / "access.log"
    paths = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr info;\n"
        "events { worker_connections 256; }\n"
        f'http {{ {paths}\nlog_format line "$request $status $http_user_agent"; access_log {access} line;\n'
        "ssl_protocols TLSv1.2 TLSv1.3;\n" + "\n".join(site.block() for site in sites) + "\n}\n"
    )
    argv = ["nginx", "-p", str(folder), "-c", str(config), "-e", "stderr"]
    with running(argv, folder / "nginx.log", lambda: all(accepts(s.port, s.address) for s in sites)):
        yield access
