"""The Connector's row: from what a runtime and the log say to the verdict."""

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.connector import CRITICAL_REASONS, ConnectorSpec
from checks.connlog.model import LogCause, LogState
from checks.connlog.summary import LogSummary
from checks.model import Reason, Status
from checks.net.text import printable_json
from checks.runtime.model import RuntimeName, Sighting
from daemon.advice import split_action
from tests.support.sightings import NOW, RUNNING, STARTED_AT, judged, log, standing, stopped

INVALID, GONE = LogCause.TOKEN_INVALID, LogCause.TOKEN_GONE
LOW = replace(RUNNING, fds=(820, 1024))
ILL = replace(RUNNING, health="unhealthy")
POD = Sighting(runtime="kubernetes", name="connector-0")
NOT_FOUND = Sighting(runtime="docker", problem=Reason.NOT_FOUND, evidence="no container of that image runs here")
DENIED = Sighting(
    runtime="docker", problem=Reason.PERMISSION_DENIED, evidence="/var/run/docker.sock is closed to this account",
    action="Add this account to the group docker.",
)  # fmt: skip
EARLIER = STARTED_AT - 10
"""Of the process before this one."""


@pytest.mark.parametrize(
    ("sighting", "summary", "verdict"),
    [
        pytest.param(RUNNING, None, "ok", id="it runs"),
        pytest.param(RUNNING, log(state=LogState.ONLINE), "ok", id="and is online"),
        pytest.param(RUNNING, log(state=LogState.ERROR), "ok", id="a state alone is no verdict"),
        pytest.param(RUNNING, LogSummary(problem="the driver syslog can't be read"), "ok", id="an unreadable log"),
        pytest.param(replace(RUNNING, health="starting"), None, "ok", id="starting"),
        pytest.param(replace(RUNNING, health=None, fds=None, started_at=None), None, "ok", id="little is known"),
        pytest.param(None, None, "skipped/not_probeable", id="nobody looks"),
        pytest.param(Sighting(runtime="none"), None, "skipped/not_probeable", id="runtime none"),
        pytest.param(replace(RUNNING, runtime="none"), None, "ok", id="a bare process"),
        pytest.param(NOT_FOUND, log(token=GONE), "skipped/not_found", id="not found, whatever a log says"),
        pytest.param(DENIED, None, "unknown/permission_denied", id="not allowed"),
        pytest.param(replace(DENIED, problem=Reason.TIMEOUT), None, "unknown/timeout", id="the runtime is silent"),
        pytest.param(POD, None, "skipped/not_probeable", id="a pod without a shared process namespace"),
        *(
            pytest.param(stopped(status), None, "critical/not_running", id=status)
            for status in ("exited", "dead", "created", "paused", "restarting", "failed", "inactive", "activating")
        ),
        pytest.param(RUNNING, log(token=GONE), "critical/token_gone", id="token gone"),
        pytest.param(RUNNING, log(token=INVALID), "critical/token_invalid", id="token invalid"),
        pytest.param(POD, log(token=INVALID), "critical/token_invalid", id="a log tells without a process"),
        pytest.param(RUNNING, log(token=GONE, at=EARLIER), "ok", id="gone, said the process before"),
        pytest.param(RUNNING, log(token=INVALID, at=EARLIER), "ok", id="invalid, said the process before"),
        pytest.param(replace(RUNNING, started_at=None), log(token=GONE, at=EARLIER), "critical/token_gone",
                     id="gone, start unknown"),
        pytest.param(RUNNING, log(token=INVALID, at=NOW - 3000), "critical/token_invalid", id="not followed by Online"),
        pytest.param(RUNNING, log(token=INVALID, at=NOW - 3000, states=False), "ok", id="old, and no state is shown"),
        pytest.param(RUNNING, log(token=INVALID, at=NOW - 3000, last_at=NOW - 5, states=None), "critical/token_invalid",
                     id="said again lately"),
        pytest.param(RUNNING, log(token=GONE, at=NOW - 3000, states=False), "critical/token_gone", id="gone for good"),
        pytest.param(LOW, None, "warning/fds_low", id="descriptors"),
        pytest.param(replace(RUNNING, fds=(819, 1024)), None, "ok", id="a fifth is free"),
        pytest.param(replace(RUNNING, fds=(2000, 1024)), None, "warning/fds_low", id="more used than allowed"),
        pytest.param(replace(RUNNING, fds=(5, 0)), None, "ok", id="a limit of nothing says nothing"),
        pytest.param(ILL, None, "warning/unhealthy", id="unhealthy"),
        pytest.param(replace(stopped(), fds=(1024, 1024), health="unhealthy"), log(token=GONE), "critical/not_running",
                     id="not running before all"),
        pytest.param(LOW, log(token=INVALID), "critical/token_invalid", id="token before descriptors"),
        pytest.param(replace(LOW, health="unhealthy"), None, "warning/fds_low", id="descriptors before health"),
    ],
)  # fmt: skip
async def test_verdict(sighting: Sighting | None, summary: LogSummary | None, verdict: str) -> None:
    """What is seen leads to this verdict."""
    outcome = await judged(standing(sighting, summary))
    assert f"{outcome.status}{f'/{outcome.reason}' if outcome.reason else ''}" == verdict
    assert "\n" not in outcome.summary
    assert len(outcome.summary) <= 120
    assert bool(outcome.action) is (outcome.status is not Status.OK)
    assert (outcome.status is Status.CRITICAL) is (outcome.reason in CRITICAL_REASONS)


async def test_only_what_does_not_run_silences_resources() -> None:
    """The fact `running` is false for a Connector that is there and does not run, and for no other."""
    running = {}
    for name, sighting in (("up", RUNNING), ("down", stopped()), ("pod", POD), ("none", NOT_FOUND), ("denied", DENIED)):
        running[name] = (await judged(standing(sighting))).facts.get("running")
    assert running == {"up": True, "down": False, "pod": None, "none": None, "denied": None}


async def test_everything_seen_is_a_fact() -> None:
    """The facts are JSON, whole and in their own words."""
    outcome = await judged(standing(RUNNING, log(state=LogState.ONLINE, down=("10.0.0.2",))))
    assert json.loads(json.dumps(printable_json(outcome.facts))) == {
        "runtime": "docker",
        "name": "twingate-1",
        "status": "running",
        "running": True,
        "evidence": None,
        "image": "twingate/connector:1",
        "version": "1.80.0",
        "pid": 4711,
        "started_at": "2026-01-02T02:04:05Z",
        "finished_at": None,
        "restarts": 0,
        "restarts_15m": 0,
        "health": "healthy",
        "exit_code": None,
        "oom_killed": False,
        "fds": {"used": 64, "limit": 1024, "tunnels_left": 120},
        "ping_group_range": [0, 2147483647],
        "icmp": True,
        "own_namespace": False,
        "environment": {"TWINGATE_NETWORK": "acme"},
        "token_valid": True,
        "log": {
            "problem": None,
            "lines": 10,
            "last_line_at": "2026-01-02T03:03:05Z",
            "state": "online",
            "state_at": "2026-01-02T03:03:05Z",
            "token": None,
            "token_at": None,
            "nameservers_down": {"10.0.0.2": "2026-01-02T03:03:05Z"},
            "causes": {},
            "capability": {"errors": True, "states": True, "analytics": False, "advice": ["add a line"]},
        },
        "own_metrics": None,
        "also": [],
    }
    assert outcome.measurements == {"uptime_seconds": 3600.0}
    assert outcome.summary == (
        "container twingate-1 is running for 1 h, version 1.80.0, its health command: healthy, its log: online"
    )


async def test_icmp_follows_the_kernel() -> None:
    """The kernel's default range, "1 0", admits no group: ICMP Resources fail; it is told, and no verdict."""
    outcome = await judged(standing(replace(RUNNING, ping_group_range=(1, 0))))
    assert (outcome.status, outcome.facts["icmp"]) == (Status.OK, False)
    assert (await judged(standing(replace(RUNNING, ping_group_range=None)))).facts["icmp"] is None


async def test_other_findings_are_told_too() -> None:
    """The first finding decides; the rest are in the fact `also`, in their order."""
    ill = replace(LOW, health="unhealthy")
    assert (await judged(standing(ill, log(token=INVALID)))).facts["also"] == ("fds_low", "unhealthy")
    assert (await judged(standing(stopped(), log(token=GONE)))).facts["also"] == ("token_gone",)


@pytest.mark.parametrize(
    ("sighting", "summary", "action"),
    [
        (stopped(), "container twingate-1 does not run: exited since 2026-01-02T02:54:05Z (exit code 1)",
         "docker start twingate-1"),
        (stopped("paused"), "container twingate-1 does not run: paused",
         "and so does every connection through it. To start it: `docker unpause twingate-1`."),
        (stopped(exit_code=0), "(exit code 0)", "It ended in good order"),
        (stopped("restarting"), "(exit code 1)", "It is started again and again by itself"),
        (stopped("created"), "container twingate-1 does not run: created", "docker start twingate-1"),
        (stopped(exit_code=137, oom_killed=True), "(exit code 137, out of memory)", "memory ran out"),
        (stopped(exit_code=137), "(exit code 137)", "It was killed"),
        (replace(stopped("failed"), runtime="systemd", name="tc.service", evidence="its result is core-dump"),
         "unit tc.service does not run: failed since 2026-01-02T02:54:05Z (exit code 1, its result is core-dump)",
         "systemctl start tc.service"),
    ],
)  # fmt: skip
async def test_what_ended_it_is_told(sighting: Sighting, summary: str, action: str) -> None:
    """Exit code, want of memory and since when; and how to start it."""
    outcome = await judged(standing(sighting))
    assert outcome.summary.endswith(summary)
    assert action in outcome.action


@pytest.mark.parametrize(
    ("runtime", "name", "commands"),
    [
        ("docker", "t; rm -rf /", ("docker inspect 't; rm -rf /'", "docker logs --tail 50 't; rm -rf /'")),
        ("systemd", "tc@1.service", ("systemctl status tc@1.service", "journalctl -u tc@1.service -n 50")),
        ("kubernetes", "pod-0", ("kubectl describe pod pod-0", "kubectl logs pod-0 --all-containers --tail 50")),
        ("none", "connectord", ("ps -C connectord,twingate-connector -o pid,lstart,args",)),
    ],
)
async def test_what_was_seen_can_be_repeated_by_hand(
    runtime: RuntimeName, name: str, commands: tuple[str, ...]
) -> None:
    """Each runtime's own commands, quoted for a shell whatever the name is."""
    action = (await judged(standing(replace(stopped(), runtime=runtime, name=name)))).action
    assert split_action(action).commands == commands
    assert all(shlex.split(command) for command in commands)


async def test_commands_name_an_engine_that_is_not_the_usual_one() -> None:
    """A command that is copied speaks to the Docker in which the Connector was seen."""
    seen = replace(stopped(), engine="unix:///run/user/1000/docker.sock")
    action = (await judged(standing(seen))).action
    assert "`docker --host unix:///run/user/1000/docker.sock start twingate-1`" in action
    assert "`docker --host unix:///run/user/1000/docker.sock inspect twingate-1`" in action


async def test_descriptors_are_counted_in_tunnels() -> None:
    """Eight for each Client's tunnel: how many more fit."""
    outcome = await judged(standing(LOW))
    assert "204 of 1024 file descriptors left: room for 25 more Client tunnels" in outcome.summary
    assert outcome.facts["fds"] == {"used": 820, "limit": 1024, "tunnels_left": 25}
    assert "/proc/4711/fd" in outcome.action


async def test_what_was_not_found_says_what_the_runtime_says() -> None:
    """The runtime's own clause and advice are passed on."""
    outcome = await judged(standing(DENIED))
    assert outcome.summary == "the Connector can't be looked at: /var/run/docker.sock is closed to this account"
    assert outcome.action == "Add this account to the group docker."
    assert outcome.facts["problem"] == DENIED.evidence


async def test_secrets_of_a_careless_runtime_go_no_further() -> None:
    """Only the contract's variables are shown, and not without end, whatever a runtime lets through."""
    planted: Mapping[str, str] = {
        "TWINGATE_ACCESS_TOKEN": "s3cret",
        "TWINGATE_REFRESH_TOKEN": "s3cret",
        "AWS_KEY": "s3cret",
        "TWINGATE_DNS": "10.0.0.2",
    } | {f"TWINGATE_LABEL_{n}": "x" for n in range(100)}
    outcome = await judged(standing(replace(RUNNING, environment=MappingProxyType(planted))))
    assert "s3cret" not in repr(outcome)
    shown = outcome.facts["environment"]
    assert isinstance(shown, Mapping)
    assert shown["TWINGATE_DNS"] == "10.0.0.2"
    assert len(shown) == 32


@pytest.mark.parametrize("at", [-1e30, float("inf"), float("nan"), 1e18])
async def test_a_time_that_no_calendar_has_is_left_out(at: float) -> None:
    """A runtime may say anything: no time is better than a fault."""
    outcome = await judged(standing(replace(stopped(), started_at=at, finished_at=at)))
    assert (outcome.status, outcome.facts["started_at"]) == (Status.CRITICAL, None)


async def test_the_row_is_named_by_its_spec() -> None:
    """The target is the row's name."""
    assert (await judged(standing(), ConnectorSpec(target="office-1"))).status is Status.OK


WORDS = st.text(max_size=40)
TIMES = st.none() | st.floats()
NUMBERS = st.none() | st.integers(-(2**63), 2**63)
ANYTHING = st.builds(
    Sighting,
    runtime=st.sampled_from(["docker", "systemd", "kubernetes", "none"]),
    name=WORDS,
    problem=st.none() | st.sampled_from(Reason),
    evidence=WORDS,
    action=WORDS,
    running=st.none() | st.booleans(),
    status=WORDS,
    pid=NUMBERS,
    started_at=TIMES,
    finished_at=TIMES,
    exit_code=NUMBERS,
    oom_killed=st.booleans(),
    health=st.none() | st.sampled_from(["healthy", "unhealthy", "starting"]),
    restarts=NUMBERS,
    image=WORDS,
    version=WORDS,
    environment=st.dictionaries(WORDS, WORDS, max_size=3),
    fds=st.none() | st.tuples(st.integers(), st.integers()),
    ping_group_range=st.none() | st.tuples(st.integers(), st.integers()),
)


@given(ANYTHING, st.sampled_from([None, log(), log(token=GONE), log(state=LogState.ONLINE, down=("all",))]))
async def test_whatever_a_runtime_says_is_judged(sighting: Sighting, summary: LogSummary | None) -> None:
    """No sighting makes the check fail; the outcome is one line and JSON."""
    outcome = await judged(replace(standing(sighting, summary), resolver_ok=True))
    assert len(outcome.summary) <= 120
    json.dumps(printable_json(outcome.facts), allow_nan=False)
    assert all(0 <= value < math.inf for value in outcome.measurements.values())
