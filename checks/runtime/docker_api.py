"""Questions to Docker through its SDK's transport: everything bounded, and every failure a value.

The SDK's client class is not used: made, it would read the registry passwords and the proxies of ~/.docker/config.json,
and `/version` without a bound. Its transport is what is needed. It blocks, so this runs in a thread of `Blocking`.

What Docker answers holds the Connector's tokens, and an exception carries the frames in which it was raised, answers
included: so none leaves this module.
"""

import http.client
import logging
import re
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import requests

ANSWER_S = 5.0  # an answer takes milliseconds; a busy disk makes dockerd take seconds
READ_BYTES = 65536
MAX_ANSWER = 16 << 20  # bytes: the list of 1,000 containers has about 3 MiB
_VERSION: Final = re.compile(r"[1-9]\d?\.\d{1,3}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """What Docker answered: an HTTP status, and the body, which is never shown."""

    status: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Docker could not be asked: what was observed, and what to do. Each is one clause for a person."""

    evidence: str
    action: str


class DockerApi:
    """Asks one Docker daemon, in one thread at a time. `docker_host`: unix:///path, tcp://host:port or a URL."""

    def __init__(self, docker_host: str, answer_s: float = ANSWER_S) -> None:
        self._host = docker_host
        self._answer_s = answer_s
        self._session: requests.Session | None = None
        scheme, _, rest = docker_host.partition("://")
        self._path = rest if scheme == "unix" else ""
        web = f"http://{rest}" if scheme == "tcp" else docker_host.rstrip("/")
        self._base = "http+docker://localhost" if self._path else web

    def get(self, path: str) -> Answer | Trouble:
        """Ask for a path such as /containers/json, in the daemon's own version of the API.

        Every call makes a connection of its own: dockerd may be stopped and started between two of them.
        """
        # Imported by the first call, in its thread: who watches no container does not pay for it.
        import urllib3.exceptions  # noqa: PLC0415

        deadline = time.monotonic() + self._answer_s
        try:
            self._knock()
            version = self._version(deadline)
            return self._ask(f"{self._base}/v{version}{path}", deadline)
        except _AnswerError as error:
            return Trouble(f"what answers at {self._host} {error}", self._look_there())
        except (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException, ValueError) as error:
            return self._trouble(error)

    def close(self) -> None:
        """Let go of the session."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _knock(self) -> None:
        """Connect once by ourselves. Raises: OSError, as the kernel says it; the SDK would leave its socket open."""
        if self._path:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.settimeout(self._answer_s)
                sock.connect(self._path)

    def _open(self) -> "requests.Session":
        import docker.transport  # noqa: PLC0415
        import requests  # noqa: PLC0415

        # It logs headers that it can't parse, whole: what Docker says never goes into our log.
        logging.getLogger("urllib3").setLevel(logging.CRITICAL + 1)
        session = requests.Session()
        session.trust_env = False  # no proxy, and no password from ~/.netrc
        session.headers["Connection"] = "close"
        if self._path:
            adapter = docker.transport.UnixHTTPAdapter(f"http+unix://{self._path}", self._answer_s)
            session.mount("http+docker://", adapter)
        return session

    def _version(self, deadline: float) -> str:
        """Ask which version of the API the daemon speaks: a path without one is deprecated, an old one refused."""
        with self._request(f"{self._base}/_ping", deadline) as response:
            version = response.headers.get("Api-Version", "")
        if not _VERSION.match(version):
            raise _AnswerError("is not Docker: it names no version of its API")
        return version

    def _ask(self, url: str, deadline: float) -> Answer:
        with self._request(url, deadline) as response:
            body = bytearray()
            while data := response.raw.read1(READ_BYTES):
                body += data
                if len(body) > MAX_ANSWER:
                    raise _AnswerError(f"sent more than {MAX_ANSWER >> 20} MiB")
                self._left(deadline)
            return Answer(response.status_code, bytes(body))

    def _request(self, url: str, deadline: float) -> "requests.Response":
        if self._session is None:
            self._session = self._open()
        return self._session.get(url, stream=True, timeout=self._left(deadline), allow_redirects=False)

    def _left(self, deadline: float) -> float:
        """Return the seconds left: every read has a time-out of its own, and a peer may send byte by byte."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise _AnswerError(f"gave no complete answer within {self._answer_s:g} s")
        return left

    def _trouble(self, error: BaseException) -> Trouble:
        import requests  # noqa: PLC0415

        cause = _cause(error)
        path = self._path
        if isinstance(cause, FileNotFoundError):
            return Trouble(
                f"there is no Docker socket at {path}",
                "Start Docker (systemctl start docker), or give this process its socket (docker run --volume "
                f"{path}:{path}:ro), or say in connector.docker_host where it is, or in connector.runtime what else "
                "runs the Connector.",
            )
        if isinstance(cause, PermissionError):
            return Trouble(
                f"this account may not open Docker's socket {path} (Permission denied)",
                f"Add this account to the group that owns the socket (ls -l {path}; usermod --append --groups docker "
                "connector-health), and start this process anew.",
            )
        if isinstance(cause, ConnectionRefusedError):
            return Trouble(
                f"no Docker daemon listens at {self._host} (Connection refused)",
                "Start Docker: systemctl start docker",
            )
        if isinstance(error, requests.Timeout) or isinstance(cause, TimeoutError):
            return Trouble(f"Docker at {self._host} did not answer within {self._answer_s:g} s", self._look_there())
        if cause is not None and cause.strerror:
            return Trouble(f"Docker at {self._host} can't be asked: {cause.strerror}", self._look_there())
        return Trouble(f"what answers at {self._host} does not speak HTTP as Docker does", self._look_there())

    def _look_there(self) -> str:
        return f"Mend Docker: what it runs is not known meanwhile. Ask it by hand: docker --host {self._host} ps"


class _AnswerError(Exception):
    """Docker's answer is of no use; the text goes on after "what answers at HOST"."""


def _cause(error: BaseException) -> OSError | None:
    """Return what the kernel said; the libraries have wrapped it, two or three deep."""
    seen: BaseException | None = error
    for _ in range(8):
        if isinstance(seen, TimeoutError) or (isinstance(seen, OSError) and seen.errno is not None):
            return seen
        if seen is None:
            break
        seen = seen.__cause__ or seen.__context__
    return None
