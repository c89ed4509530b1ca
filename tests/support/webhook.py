"""A receiver of Alertmanager's notifications: it notes who was told what, and when."""

import contextlib
import http.server
import json
import socketserver
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.servers import wait_until

MAX_SHOWN = 20  # of the notifications, when one is missing
Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One notification: `at` by the monotonic clock, `wall` in Unix seconds; `path` tells which receiver sent it.

    `status` is `firing` while any of its alerts fires: that is a page. It is `resolved` once all of them have ended.
    """

    at: float
    wall: float
    path: str
    status: str
    group: Labels
    alerts: Sequence[Mapping[str, Any]]

    @property
    def firing(self) -> list[Labels]:
        """The labels of each alert that fires."""
        return [alert["labels"] for alert in self.alerts if alert["status"] == "firing"]

    def about(self, **labels: str) -> bool:
        """Tell whether an alert with these labels is in it."""
        return any(labels.items() <= alert["labels"].items() for alert in self.alerts)


class Webhook:
    """What has come in so far."""

    def __init__(self, port: int, host: str) -> None:
        self.port = port
        self.host = host
        self._received: list[Notification] = []

    def url(self, path: str) -> str:
        """Return the address for a receiver; `path` begins with a slash."""
        return f"http://{self.host}:{self.port}{path}"

    def note(self, path: str, body: Mapping[str, Any]) -> None:
        """Take a notification (from the server's thread: a list's append is atomic)."""
        self._received.append(
            Notification(
                at=time.monotonic(),
                wall=time.clock_gettime(time.CLOCK_REALTIME),
                path=path,
                status=body["status"],
                group=body["groupLabels"],
                alerts=body["alerts"],
            )
        )

    def received(self, path: str = "", status: str = "", **labels: str) -> list[Notification]:
        """Return what came by this path, with this status, about an alert with these labels; oldest first."""
        return [
            one
            for one in list(self._received)
            if one.path.startswith(path) and status in ("", one.status) and one.about(**labels)
        ]

    def pages(self, path: str = "", **labels: str) -> list[Notification]:
        """Return the notifications that say "it fires"."""
        return self.received(path, "firing", **labels)

    def resolved(self, path: str = "", **labels: str) -> list[Notification]:
        """Return the notifications that say "it is over"."""
        return self.received(path, "resolved", **labels)

    def until(self, status: str, path: str = "", **labels: str) -> Notification:
        """Wait, bounded, for a notification and return the first."""

        def said() -> str:
            came = [(one.path, one.status, dict(one.group), len(one.alerts)) for one in self._received[-MAX_SHOWN:]]
            return f"no {status} notification about {labels} at {path!r}; came: {came}"

        wait_until(lambda: bool(self.received(path, status, **labels)), lambda: True, said)
        return self.received(path, status, **labels)[0]


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextlib.contextmanager
def webhook(host: str = "127.0.0.1") -> Iterator[Webhook]:
    """Listen on a free port of an address until the block ends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.note(self.path, json.loads(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the standard library
            """Say nothing."""

    with _Server((host, 0), Handler) as server:
        hook = Webhook(server.server_address[1], host)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield hook
        finally:
            server.shutdown()
            thread.join()
