"""Real Alertmanagers that know of each other, with the shipped configuration, and our webhook as its receivers."""

import contextlib
import datetime as dt
import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.support.alertmanager import PROGRAM, RealAlertmanager
from tests.support.process import quiet_port
from tests.support.servers import require, running
from tests.support.webhook import Webhook

SHIPPED = Path(__file__).parents[2] / "deploy/alertmanager/alertmanager.yml"


class Member(RealAlertmanager):
    """One Alertmanager of a cluster."""

    def __init__(self, folder: Path, config: str, ports: Sequence[int], number: int, host: str = "127.0.0.1") -> None:
        super().__init__(folder, config)
        self.name = f"{host}:{self.port}"
        self._ports, self._number = ports, number

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        argv = [
            PROGRAM,
            f"--config.file={self._folder}/alertmanager.yml",
            f"--storage.path={self._folder}/data",
            f"--web.listen-address={self.name}",
        ]
        if len(self._ports) == 1:
            argv.append("--cluster.listen-address=")  # alone it would wait for others before it notifies
        else:
            argv += [f"--cluster.peer=127.0.0.1:{port}" for port in self._ports[: self._number]]
            argv += [f"--cluster.listen-address=127.0.0.1:{self._ports[self._number]}", "--cluster.settle-timeout=1s"]
        self._running.enter_context(running(argv, self._folder / "alertmanager.log", self._ready))

    def send(self, *alerts: Mapping[str, str]) -> None:
        """Say that alerts with these labels fire, from now on: older ones would be notified without `group_wait`."""
        self._post(alerts, ends_at=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))

    def resolve(self, *alerts: Mapping[str, str]) -> None:
        """Say that these are over."""
        self._post(alerts, ends_at=dt.datetime.now(dt.UTC))

    def _post(self, alerts: Sequence[Mapping[str, str]], ends_at: dt.datetime) -> None:
        starts_at = min(dt.datetime.now(dt.UTC), ends_at)
        body = [
            {"labels": dict(one), "startsAt": starts_at.isoformat(), "endsAt": ends_at.isoformat()} for one in alerts
        ]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("POST", "/api/v2/alerts", json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status == http.HTTPStatus.OK, answer.read()
        finally:
            connection.close()


@contextlib.contextmanager
def cluster(folder: Path, config: str, size: int = 1, host: str = "127.0.0.1") -> Iterator[list[Member]]:
    """Run some that share a configuration, and what they have notified, until the block ends; they listen at `host`."""
    require(PROGRAM)
    ports = [quiet_port() for _ in range(size)]
    with contextlib.ExitStack() as stack:
        members = []
        for number in range(size):
            home = folder / f"alertmanager-{number}"
            home.mkdir(parents=True)
            member = Member(home, config, ports, number, host)
            stack.callback(member.stop)
            member.start()
            members.append(member)
        yield members


def shipped(hook: Webhook, times: Mapping[str, str] | None = None, prefix: str = "") -> str:
    """Return the shipped configuration with the webhook in place of each receiver, at PREFIX/NAME of the receiver.

    `times` (`group_wait` and so on) stand in place of those of every route that has its own.
    """
    config = yaml.safe_load(SHIPPED.read_text())
    for receiver in config["receivers"]:
        for target in receiver.get("webhook_configs", ()):
            target["url"] = hook.url(f"{prefix}/{receiver['name']}")
    for route in _routes(config["route"]):
        route.update({name: value for name, value in (times or {}).items() if name in route})
    return yaml.safe_dump(config)


def _routes(route: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield route
    for child in route.get("routes", ()):
        yield from _routes(child)
