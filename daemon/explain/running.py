"""Reasons of the Connector itself: whether it runs, and with what."""

from collections.abc import Mapping

from checks.model import Reason
from daemon.explain.page import Page

_REDEPLOY = "Make new tokens for this Connector in the Admin Console and deploy it again with them."

PAGES: Mapping[Reason, Page] = {
    Reason.NOT_FOUND: Page(
        meaning="No Connector was found on this host by the configured runtime.",
        impact="None known: it may run where we can't see it. Its Resources are still judged, from this host.",
        advice="Set `connector.runtime`, and `connector.container` or `connector.unit`, to what runs here; "
        "`runtime: none` if there is none.",
        commands=("docker ps --filter ancestor=twingate/connector", "systemctl status twingate-connector"),
    ),
    Reason.NOT_RUNNING: Page(
        meaning="The Connector is there, but its container or unit does not run.",
        impact="Users are served by the other Connectors of the Remote Network; without another one all its Resources "
        "are down.",
        advice="See why it stopped, then start it.",
        commands=(
            "docker logs --tail 50 CONTAINER",
            "docker start CONTAINER",
            "journalctl -u twingate-connector -n 50",
            "systemctl start twingate-connector",
        ),
    ),
    Reason.UNHEALTHY: Page(
        meaning="The Connector runs, but its own health command does not say OK.",
        impact="It may not serve users. (A healthy answer in turn does not prove that it can reach Twingate.)",
        advice="Look at its log, then restart it.",
        commands=("docker exec CONTAINER /connectorctl health", "twingate-connectorctl health"),
    ),
    Reason.RESTARTING: Page(
        meaning="The Connector was restarted again and again within a short time.",
        impact="Each restart cuts all connections that go through it.",
        advice="The lines before each end in its log say why: invalid tokens, out of memory, a failing health check.",
        commands=(
            "docker inspect -f '{{.RestartCount}} {{.State.OOMKilled}}' CONTAINER",
            "docker logs --tail 100 CONTAINER",
            "systemctl show twingate-connector -p NRestarts -p Result",
        ),
    ),
    Reason.TOKEN_INVALID: Page(
        meaning="The Connector's log says that the Controller rejects its token (`Invalid token`).",
        impact="The Connector flaps or is offline: its users fail over to another one, or fail.",
        advice="Nearly always the clock is off by more than 5 s: see the clock check first. Otherwise: " + _REDEPLOY,
        commands=("healthctl check --only clock", "journalctl -u twingate-connector | grep 'Invalid token'"),
    ),
    Reason.TOKEN_GONE: Page(
        meaning="The Connector's log says that its tokens no longer exist at the Controller (`Gone, code 410`).",
        impact="This Connector is offline and will not recover by itself.",
        advice=_REDEPLOY + " One pair of tokens must never be used by two Connectors.",
        commands=("journalctl -u twingate-connector | grep 'code 410'",),
    ),
    Reason.FDS_LOW: Page(
        meaning="Fewer than a fifth of the Connector's file descriptors are free.",
        impact="At the limit new connections of users fail; each user's tunnel takes about 8 descriptors.",
        advice="Raise the limit (LimitNOFILE=, docker --ulimit nofile=) or add a Connector.",
        commands=("grep 'open files' /proc/PID/limits", "ls /proc/PID/fd | wc -l"),
    ),
}
