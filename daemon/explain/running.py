"""Reasons of the Connector itself: whether it runs, and with what."""

from collections.abc import Mapping

from checks.model import Reason
from daemon.explain.page import Page
from daemon.explain.platforms import DESCRIPTORS, RESTART, START, TOKENS

_REDEPLOY = "Make new tokens for this Connector in the Admin Console and deploy it again with them."

PAGES: Mapping[Reason, Page] = {
    Reason.NOT_FOUND: Page(
        meaning="No Connector was found on this host by the configured runtime: no container, unit or process of it.",
        impact="None known: it may run where we can't see it. Its Resources are still judged, from this host.",
        commands=(
            "docker ps -a | grep twingate/connector",
            "systemctl status twingate-connector",
            "ps -C connectord,twingate-connector -o pid,lstart,args",
        ),
        fix="Set `connector.runtime`, and `connector.container` or `connector.unit`, to what runs here; "
        "`runtime: none` if there is none.",
    ),
    Reason.NOT_RUNNING: Page(
        meaning="The Connector is there, but its container or unit does not run: stopped, failed, paused, or waiting "
        "between two attempts to start. The row tells its exit code, and whether memory ran out.",
        impact="Users are served by the other Connectors of the Remote Network; without another one all its Resources "
        "are down. While it does not run they are skipped here: it is the cause, and it is told once.",
        commands=(
            "docker inspect -f '{{json .State}}' CONTAINER",
            "docker logs --tail 50 CONTAINER",
            "journalctl -u twingate-connector -n 50",
            "kubectl logs POD --previous --tail 50",
        ),
        fix="See why it stopped, then start it.",
        fixes=START,
    ),
    Reason.UNHEALTHY: Page(
        meaning="The Connector runs, but its own health command does not say OK, or its log says that all nameservers "
        "have failed while they answer us: then its resolver is stuck. (Of Twingate's status page, row provider: it "
        "shows trouble of Twingate's own.)",
        impact="It may not serve users; with a stuck resolver they get DNS lookup errors. (A healthy answer in turn "
        "does not prove that it can reach Twingate: the command looks at the process only.)",
        commands=(
            "docker inspect -f '{{json .State.Health}}' CONTAINER",
            "docker exec CONTAINER /connectorctl health",
            "twingate-connectorctl health",
            "kubectl exec POD -- /connectorctl health",
        ),
        fix="Look at its log. A stuck resolver, or a Connector that hangs, wants a restart; a health command that "
        "fails with `No such file or directory` only lacks a writable directory for its socket.",
        fixes=RESTART,
    ),
    Reason.RESTARTING: Page(
        meaning="The Connector was started anew 3 times or more within 15 minutes, counted from look to look: by its "
        "runtime, or by hand.",
        impact="Each restart cuts all connections that go through it.",
        commands=(
            "docker inspect -f '{{.RestartCount}} {{.State.OOMKilled}}' CONTAINER",
            "docker logs --tail 100 CONTAINER",
            "systemctl show twingate-connector -p NRestarts -p Result",
            "kubectl describe pod POD",
        ),
        fix="The lines before each end in its log say why: invalid tokens, out of memory, a failing health check.",
        fixes={
            "Docker": "OOMKilled true: make the container anew with more `--memory` (Twingate's guide: 2 GB).",
            "systemd": "Result=oom-kill: raise MemoryMax= of the unit, or give the host more memory.",
            "Kubernetes": "Last State OOMKilled: raise `resources.limits.memory`.",
        },
    ),
    Reason.TOKEN_INVALID: Page(
        meaning="The Connector's log says that the Controller rejects its token (`Invalid token`), and not that it is "
        "online since. Where its log level hides states, this is held against it for 15 minutes.",
        impact="The Connector flaps or is offline: its users fail over to another one, or fail.",
        commands=(
            "healthctl check --only clock",
            "docker logs CONTAINER 2>&1 | grep 'Invalid token'",
            "journalctl -u twingate-connector | grep 'Invalid token'",
        ),
        fix="Nearly always the clock is off by more than 5 s: see the clock check first. Otherwise: " + _REDEPLOY,
        fixes=TOKENS,
    ),
    Reason.TOKEN_GONE: Page(
        meaning="The Connector's log says that its tokens no longer exist at the Controller (`Gone, code 410`). This "
        "holds until it is started anew. Its default log level hides that line: TWINGATE_LOG_LEVEL=5 shows it.",
        impact="This Connector is offline and will not recover by itself.",
        commands=(
            "docker logs CONTAINER 2>&1 | grep 'code 410'",
            "journalctl -u twingate-connector | grep 'code 410'",
        ),
        fix=_REDEPLOY + " One pair of tokens must never be used by two Connectors.",
        fixes=TOKENS,
    ),
    Reason.FDS_LOW: Page(
        meaning="Fewer than a fifth of the Connector's file descriptors are free (row connector), or of this "
        "program's own or of the whole host's (row host).",
        impact="At the limit new connections of users fail; each Client's tunnel takes 8 of the Connector's.",
        commands=("grep 'open files' /proc/PID/limits", "ls /proc/PID/fd | wc -l", "cat /proc/sys/fs/file-nr"),
        fix="Raise the limit of whom the row names, or add a Connector to the Remote Network.",
        fixes=DESCRIPTORS,
    ),
}
