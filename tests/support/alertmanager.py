"""Real Alertmanagers on loopback, each alone, and what they know."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.servers import MISSING_PACKAGES, free_port, require, running

PROGRAM = "prometheus-alertmanager"
MISSING_PACKAGES.setdefault(PROGRAM, PROGRAM)
QUIET = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
"""A configuration that notifies nobody."""


def webhook_config(url: str) -> str:
    """Return a configuration that tells everything to one webhook, within fractions of a second."""
    return (
        "route: {receiver: hook, group_by: [alertname], group_wait: 50ms, group_interval: 100ms, repeat_interval: 1h}\n"
        f"receivers: [{{name: hook, webhook_configs: [{{url: '{url}', send_resolved: true}}]}}]\n"
    )


class RealAlertmanager:
    """One Alertmanager. It remembers no alert over a restart."""

    def __init__(self, folder: Path, config: str = QUIET, prefix: str = "") -> None:
        self._folder = folder
        self._prefix = prefix
        self._running = contextlib.ExitStack()
        self.port = free_port()
        self.name = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.name}{prefix}"
        (folder / "alertmanager.yml").write_text(config)

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        argv = [
            PROGRAM,
            f"--config.file={self._folder}/alertmanager.yml",
            f"--storage.path={self._folder}/data",
            f"--web.listen-address={self.name}",
            "--cluster.listen-address=",
            f"--web.external-url={self.url}",
            "--log.level=debug",
        ]
        self._running.enter_context(running(argv, self._folder / "alertmanager.log", self._ready))

    def stop(self) -> None:
        """End it."""
        self._running.close()

    def alerts(self) -> list[dict[str, Any]]:
        """Return every alert that has not ended for it, by name and labels."""
        found: list[dict[str, Any]] = json.loads(self._get("/api/v2/alerts")[1])
        return sorted(found, key=lambda alert: sorted(alert["labels"].items()))

    def firing(self) -> dict[str, str]:
        """Return when each alert began, by its name."""
        return {alert["labels"]["alertname"]: alert["startsAt"] for alert in self.alerts()}

    def received(self) -> dict[str, float]:
        """Return how many alerts it was sent, by `firing`, `resolved` and `invalid`."""
        counts: dict[str, float] = {}
        for line in self._get("/metrics")[1].splitlines():
            name, _, value = line.rpartition(" ")
            if name.startswith("alertmanager_alerts_received_total{") and 'version="v2"' in name:
                counts[name.partition('status="')[2].partition('"')[0]] = float(value)
            elif name.startswith("alertmanager_alerts_invalid_total{") and 'version="v2"' in name:
                counts["invalid"] = float(value)
        return counts

    def _ready(self) -> bool:
        with contextlib.suppress(OSError):
            return self._get("/-/ready")[0] == 200
        return False

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", self._prefix + path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


@contextlib.contextmanager
def alertmanager(folder: Path, config: str = QUIET, prefix: str = "") -> Iterator[RealAlertmanager]:
    """Run one until the block ends."""
    require(PROGRAM)
    folder.mkdir(parents=True, exist_ok=True)
    one = RealAlertmanager(folder, config, prefix)
    one.start()
    try:
        yield one
    finally:
        one.stop()
