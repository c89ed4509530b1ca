"""Rows of the rules "Never up" and "Corroboration" about what the Connector's log taught."""

from checks.model import CheckName
from checks.net.endpoint import Endpoint
from daemon.jobs import Job
from daemon.known import Known
from daemon.learning import Learning
from daemon.runner import Runner
from daemon.targets import enabled_checks, make_plan
from daemon.vantage.seats import Seats
from tests.contract.bench import Bench, Row, Scenario, verdict
from tests.support.fakes import context
from tests.support.lines import established
from tests.support.servers import free_port

HERE = "127.0.0.1"
DAY = 86400.0
NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z
NEVER_UP, REFUSED = "skipped/never_up -", "critical/refused unable_to_connect"
ALLOWED = "probing: {allow: [127.0.0.0/8]}\n"


async def _verdict(job: Job, *, ever_up: bool = False, user_failed: bool = False) -> str:
    known = Known(
        latest=lambda _: None, rows=lambda _: (), ever_up=lambda _: ever_up, user_failed=lambda _: user_failed
    )
    runner = Runner(Seats(context().seat), frozenset(CheckName), known, lambda _start, _end: 0.0)
    return verdict((await runner.run(job))[0].outcome)


async def learned_port(bench: Bench) -> list[str]:
    """Probe a closed port that the log showed in use: never up, up once, and where a user fails now."""
    config = bench.config(f"{ALLOWED}resources: [{{name: R, address: 127.0.0.0/8}}]")
    learning = Learning(lambda _: None, lambda _key, _value: None, config, lambda: NOON)
    port = free_port()
    for second in range(10):
        learning.note(established(NOON - 10 + second, HERE, port))
    jobs = make_plan(config, enabled_checks(config), learning.learned).jobs
    job = next(job for job in jobs if job.id == f"tcp:{HERE}:{port}")
    return [await _verdict(job), await _verdict(job, ever_up=True), await _verdict(job, user_failed=True)]


def used_relay(times: int, *, ago_s: float = 0.0) -> Scenario:
    """Plan and probe a closed Relay that the log showed so many times, so long ago."""

    async def scenario(bench: Bench) -> str:
        now = NOON
        config = bench.config(f"{ALLOWED}relays: {{endpoints: []}}")
        learning = Learning(lambda _: None, lambda _key, _value: None, config, lambda: now)
        relay = Endpoint(HERE, free_port())
        for number in range(times):
            learning.note(established(NOON - 10 + number / 10, "elsewhere.test", relays=(relay,)))
        now += ago_s
        learning.tick()
        jobs = make_plan(config, enabled_checks(config), learning.learned).jobs
        return await _verdict(next(job for job in jobs if job.check is CheckName.RELAY))

    return scenario


ROWS = [
    Row("learning and samples that have never accepted", learned_port, [NEVER_UP, "warning/refused none", REFUSED]),
    Row("or used in the Connector's log within 24 h", used_relay(10), "critical/refused -"),
    Row("used in the Connector's log", used_relay(9), "skipped/not_probeable -"),
    Row("in the Connector's log within 24 h", used_relay(10, ago_s=DAY), "skipped/not_probeable -"),
]
