"""From the configuration to what there is to probe: many Resources, one job for each distinct name and endpoint."""

from collections.abc import Iterable

from checks.model import CheckName
from checks.net.endpoint import is_address
from daemon.config.schema import Config, Resource
from daemon.jobs import Job
from daemon.learnable import is_wide, written_addresses
from daemon.observed import Learned, LearnedSample
from daemon.plan import MadeFor, Plan
from daemon.slices import Steps, at_once, batches
from daemon.target_jobs import JobMaker
from daemon.targets_static import static_jobs
from daemon.wishes import all_names, all_wishes, not_probeable

NOTHING_LEARNED = Learned()


def make_plan(
    config: Config, enabled: frozenset[CheckName], learned: Learned = NOTHING_LEARNED, *, half_open: bool = False
) -> Plan:
    """Return every job that the configuration asks for, of the checks that are enabled.

    `learned`: its proven Relays and active samples are probed as well. `half_open`: the seat can probe so.
    """
    return at_once(plan_steps(config, enabled, learned, half_open=half_open))


def plan_steps(
    config: Config,
    enabled: frozenset[CheckName],
    learned: Learned = NOTHING_LEARNED,
    *,
    half_open: bool = False,
    before: Plan | None = None,
) -> Steps[Plan]:
    """Make the plan in steps. A job that is equal to one of the plan `before` is that very object."""
    made_for = MadeFor(config=config, half_open=half_open)
    maker = JobMaker(made_for, before)
    yield
    jobs = [maker.kept(j) for j in static_jobs(config, first_name(config), learned.relays) if j.check in enabled]
    yield
    jobs += yield from _resource_jobs(config, enabled, learned.samples, maker)
    rows_of: dict[str, list[str]] = {resource.name: [] for resource in config.resources}
    for batch in batches(jobs):
        for job in batch:
            for name in job.resources:
                rows_of[name].append(job.id)
        yield
    rows = {name: tuple(ids) for name, ids in rows_of.items()}
    yield
    return Plan(jobs=tuple(jobs), resources=config.resources, rows_of=rows, made_for=made_for)


def enabled_checks(config: Config, only: frozenset[CheckName] | None = None) -> frozenset[CheckName]:
    """Return the checks that are run: those asked for, else all, less those switched off in `checks:`."""
    wanted = only if only is not None else frozenset(CheckName)
    return frozenset(c for c in wanted if config.checks.get(c.value, True))


def first_name(config: Config) -> str | None:
    """Return the first name among the addresses of Resources that may be asked for."""
    asked = (r for r in config.resources if r.probe != "never")
    found = (a for r in asked for a in written_addresses(r) if not is_address(a))
    return next(found, None)


def _resource_jobs(
    config: Config, enabled: frozenset[CheckName], samples: Iterable[LearnedSample], maker: JobMaker
) -> Steps[list[Job]]:
    ordered = sorted(config.resources, key=lambda r: is_wide(r.address))  # an exact address takes precedence
    written = frozenset(address for resource in ordered for address in written_addresses(resource))
    yield
    wishes = yield from all_wishes(config, ordered, samples)
    names = yield from all_names(ordered, wishes)
    jobs: list[Job] = []
    if CheckName.DNS in enabled:
        for named in batches(tuple(names.items())):
            jobs += [maker.name(name, behind, from_log=name not in written) for name, behind in named]
            yield
    if CheckName.TCP in enabled:
        for wished in batches(tuple(wishes.values())):
            jobs += [maker.port(group, written) for group in wished]
            yield
        served = {wish.resource.name for group in wishes.values() for wish in group}
        fixed = _never_probed(ordered, served)
        yield
        for never in batches(tuple(fixed.items())):
            jobs += [maker.never(address, resources, why) for address, (resources, why) in never]
            yield
    return jobs


def _never_probed(ordered: Iterable[Resource], served: set[str]) -> dict[str, tuple[list[Resource], str]]:
    """Return the addresses of which no port is probed (nor was any learned), for whom they are, and why."""
    fixed: dict[str, tuple[list[Resource], str]] = {}
    for resource in ordered:
        why = not_probeable(resource)
        if why and resource.name not in served:
            fixed.setdefault(resource.address, ([], why))[0].append(resource)
    return fixed
