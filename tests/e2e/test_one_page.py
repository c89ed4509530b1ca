"""From the fault to the page and back, with real parts: one cause, one page, and no second one after a kill."""

import contextlib
import signal
from pathlib import Path

import pytest

from tests.support.alertmanager import RealAlertmanager, alertmanager, webhook_config
from tests.support.nameservers import unbound
from tests.support.process import Process, daemon, quiet_config, quiet_port
from tests.support.webhook import webhook

KILLS = 3
NAMES = 60
FAST = "schedule: {interval: 1s, timeout: 500ms, confirm: {interval: 100ms}}\n"
ALERT = "ConnectorUnableToConnect"


def _alerting(manager: RealAlertmanager, after: str) -> str:
    return f"alerting: {{alertmanagers: ['{manager.url}'], resend: 1s, after: {{{after}}}}}\n"


def _resent(process: Process, manager: RealAlertmanager) -> None:
    """Wait until the alert was sent once more."""
    sent = manager.received()["firing"]
    process.until(lambda: manager.received()["firing"] > sent, "sent it once more")


def _raised(process: Process, manager: RealAlertmanager, name: str) -> str:
    """Wait until Alertmanager has an alert; return when it began."""
    process.until(lambda: name in manager.firing(), f"raised {name}")
    return manager.firing()[name]


@pytest.mark.timeout(120)
def test_killed_again_and_again_while_an_alert_fires(tmp_path: Path) -> None:
    """Whatever moment it is killed at, the alert goes on as it was: not resolved, and begun when it began."""
    text = f"resources: [{{name: A, address: 127.0.0.1, tcp: [{quiet_port()}]}}]\n" + FAST
    with webhook() as hook, alertmanager(tmp_path / "am", webhook_config(hook.url("/am"))) as manager:
        config = quiet_config(tmp_path, text + _alerting(manager, f"{ALERT}: 0s"))
        began: set[str] = set()
        for _ in range(KILLS):
            with daemon(config) as process:
                assert not began or ALERT in process.get("/metrics").text, "known before the first scrape"
                began.add(_raised(process, manager, ALERT))
                _resent(process, manager)
                began.add(manager.firing()[ALERT])
                process.end(signal.SIGKILL)
        assert len(began) == 1, "it began once"
        assert [page.status for page in hook.received(alertname=ALERT)] == ["firing"], "one page in all"
        assert not manager.received().get("resolved")


def test_nameserver_dies_under_many_names(tmp_path: Path) -> None:
    """One page that names the nameserver, none for the names that it takes along; healed, it is over once."""
    port = quiet_port()
    zone = ('  local-zone: "corp.test" redirect', '  local-data: "corp.test A 127.0.0.1"')
    with webhook() as hook, alertmanager(tmp_path / "am", webhook_config(hook.url("/a"))) as am:
        lines = (f"  - {{name: App {n}, address: a{n}.corp.test, probe: dns}}\n" for n in range(NAMES))
        after = "ConnectorNameserverDown: 1s, ConnectorDNSLookupErrors: 1s"
        text = f"resources:\n{''.join(lines)}{FAST}{_alerting(am, after)}"
        config = quiet_config(tmp_path, text, nameserver=f"127.0.0.1:{port}")
        config.write_text(config.read_text().replace("resolver: false, ", ""))
        with contextlib.ExitStack() as nameserver, daemon(config) as process:
            nameserver.enter_context(unbound(tmp_path, *zone, port=port))
            process.until(lambda: process.status()["status"] == "ok", "found all well")
            nameserver.close()
            _raised(process, am, "ConnectorNameserverDown")
            failing = process.metric("connector_health_diagnosis_explains")
            assert max(failing.values()) >= NAMES
            process.until(lambda: len(process.status("?status=critical")["checks"]) == NAMES + 1, "sure of all of them")
            _resent(process, am)
            with unbound(tmp_path, *zone, port=port):
                process.until(lambda: not process.status()["alerts"]["active"], "found it to be over")
                process.until(lambda: process.status()["status"] == "ok", "found all well again")
        told = {alert["labels"]["alertname"] for page in hook.received() for alert in page.alerts}
        assert told == {"ConnectorNameserverDown", "ConnectorHealthWatchdog"}
        pages = hook.pages(alertname="ConnectorNameserverDown")
        assert len(pages) == 1
        assert len(pages[0].firing) == 1
