"""From a daemon's metrics through a real Prometheus and Alertmanager to a page: as shipped, only faster."""

import contextlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.support.alertmanagers import cluster, shipped
from tests.support.prometheus import Prometheus, Setup, prometheus
from tests.support.servers import require, wait_until
from tests.support.webhook import webhook

FAST = {"group_wait": "2s", "group_interval": "500ms", "repeat_interval": "1h"}
DISCOVERED = {"endpoint": "metrics", "namespace": "twingate", "pod": "connector-0", "resource": "not ours"}
RESOURCE = 'resource="DB",address="db.corp",port="5432"'
METRICS = f"""\
connector_health_info{{connector="office-1",remote_network="Office",network="acme"}} 1
connector_health_alert_active{{alert="ConnectorUnableToConnect",severity="warning",{RESOURCE}}} 1
connector_health_alert_active{{alert="ConnectorDown",severity="none"}} 1
"""
PAGED = {
    "alertname": "ConnectorUnableToConnect", "severity": "warning", "connector": "office-1", "remote_network": "Office",
    "resource": "DB", "address": "db.corp", "port": "5432", "site": "hq",
}  # fmt: skip


@contextlib.contextmanager
def exporter(text: str) -> Iterator[str]:
    """Show these metrics until the block ends; yield host:port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the standard library
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _until_asked(server: Prometheus, expression: str) -> None:
    wait_until(lambda: bool(server.query(expression)), lambda: True, lambda: f"{expression}: {server.broken_rules()}")


def test_both_carriers_make_one_page_with_the_labels_of_the_push(tmp_path: Path) -> None:
    """What Prometheus sends and what a daemon pushes is one alert, and one page, whatever service discovery adds."""
    require("prometheus")
    with (
        webhook() as hook,
        exporter(METRICS) as target,
        cluster(tmp_path, shipped(hook, FAST)) as (alertmanager,),
        prometheus(
            tmp_path,
            Setup(
                targets=[target], target_labels=DISCOVERED, alertmanagers=[alertmanager.name],
                external_labels={"site": "hq", "replica": "a"},
            ),
        ) as server,
    ):  # fmt: skip
        _until_asked(server, 'ALERTS{alertstate="firing", severity="warning"}')
        wait_until(lambda: len(alertmanager.alerts()) == 2, lambda: True, lambda: f"{alertmanager.alerts()}")
        alertmanager.send(PAGED)
        page = hook.until("firing", "/oncall")
        assert page.firing == [PAGED]
        assert server.broken_rules() == {}
        assert sorted(one["labels"]["alertname"] for one in alertmanager.alerts()) == [
            "ConnectorDown",
            "ConnectorUnableToConnect",
        ]
        assert len(hook.received()) == 1, "shadow mode pages nobody"
