"""The report's JSON document as types, keys in the order in which they are written.

Times are RFC 3339 in UTC, durations seconds. What is not known is null, what there is none of an empty list.
"""

from typing import TypedDict

from checks.model import Json


class Row(TypedDict):
    """One row of the document."""

    id: str
    check: str
    target: str
    resource: str | None
    resources: list[str]
    status: str
    reason: str | None
    event: str | None
    summary: str
    action: str
    started_at: str
    duration_seconds: float
    state: str | None
    since: str | None
    suppressed_by: str | None
    measurements: dict[str, float | None]
    facts: dict[str, Json]
    flap: float | None
    flapping: bool | None
    slowed_to_seconds: float | None


class CauseFound(TypedDict):
    """One thing that is wrong, and what follows from it; ids are those of rows.

    `target` is empty where there is but one; `explains`: rows that fail, or are not asked, because of it; `evidence`:
    rows that show it; `resources`: how many Resources that makes. `changed`, `possible`: lines of text, nearest first.
    """

    id: str
    code: str
    title: str
    fault_domain: str
    target: str
    severity: str
    since: str
    explains: list[str]
    changed: list[str]
    action: str
    runbook: str | None
    text: str
    evidence: list[str]
    resources: int
    possible: list[str]
    alert: str | None


class ActiveAlert(TypedDict):
    """An alert that fires; `cause`: the id of the cause behind it. `ends_after`: over, yet kept until then."""

    name: str
    severity: str
    labels: dict[str, str]
    starts_at: str
    summary: str
    action: str
    cause: str | None
    flapping: bool
    ends_after: str | None


class PendingAlert(TypedDict):
    """An alert that will fire at `fires_at` if what it is about lasts so long."""

    name: str
    severity: str
    labels: dict[str, str]
    fires_at: str


class AlertmanagerTaking(TypedDict):
    """How one Alertmanager takes what is pushed; counts are of alerts since the daemon started."""

    alertmanager: str
    sent: int
    errors: int
    dropped: int
    queue_length: int
    failing_since: str | None
    problem: str


class MaintenanceOpen(TypedDict):
    """A window of maintenance that is open: the Resources that it names (`resources`: how many) raise no alert."""

    match: str
    until: str
    reason: str
    resources: int


class AlertsDecided(TypedDict):
    """What the daemon has decided.

    `truncated`: how many more there are, by name. `pending_left`: how many more are pending, behind those listed.
    """

    mode: str
    active: list[ActiveAlert]
    pending: list[PendingAlert]
    pending_left: int
    truncated: dict[str, int]
    alertmanagers: list[AlertmanagerTaking]
    maintenance: list[MaintenanceOpen]


class ChangeSeen(TypedDict):
    """Something that changed around us; `kind`: link, address, route, nameservers, connector, seat, clock, config."""

    at: str
    kind: str
    text: str


class NameserverDown(TypedDict):
    """What the Connector's own resolver has given up: one nameserver, or `all` of them."""

    nameserver: str
    since: str


class CauseCounted(TypedDict):
    """How often its log showed a cause since the daemon started."""

    cause: str
    count: int
    last_at: str


class UsersFailing(TypedDict):
    """How many distinct users failed at one "address" or "address:port" in the last 15 minutes."""

    target: str
    users: int


class LogCapability(TypedDict):
    """What the Connector's log can show at its level and settings; null: not known. Silence is no evidence."""

    errors: bool | None
    states: bool | None
    analytics: bool | None
    advice: list[str]


class ConnectorLog(TypedDict):
    """What the Connector's log has told; `problem` says why it can't be read."""

    problem: str | None
    lines: int
    last_line_at: str | None
    state: str | None
    state_at: str | None
    token: str | None
    token_at: str | None
    nameservers_down: list[NameserverDown]
    causes: list[CauseCounted]
    events: dict[str, int]
    paths: dict[str, int]
    failing: list[UsersFailing]
    capability: LogCapability


class RelayLearned(TypedDict):
    """A Relay that the log showed in use; `proven` when often enough, and lately."""

    endpoint: str
    first_seen: str
    last_seen: str
    days: int
    count: int
    proven: bool


class SampleLearned(TypedDict):
    """A real address and port behind the Resource whose address is `rule`; `active` when it is probed."""

    rule: str
    address: str
    port: int
    first_seen: str
    last_seen: str
    days: int
    count: int
    active: bool


class Learned(TypedDict):
    """What the log taught us."""

    relays: list[RelayLearned]
    samples: list[SampleLearned]


class PredictionCounted(TypedDict):
    """How often this was predicted while users met that."""

    predicted: str
    observed: str
    count: int


class Disagreement(TypedDict):
    """The row `id` passes where users failed, `count` times, the last time `at`."""

    id: str
    at: str
    observed: str
    count: int


class Predictions(TypedDict):
    """How our predictions compare with what users met; null where nothing could be compared."""

    counts: list[PredictionCounted]
    precision: float | None
    recall: float | None
    disagreements: list[Disagreement]


class Probing(TypedDict):
    """How ports are asked: `method` is half_open or connect, where no policy says otherwise.

    `missing` says what half-open probes lack here, null where nothing is; `strain` why only `share_of_rate` of
    `schedule.max_rate` is used, null where nothing is.
    """

    method: str
    missing: str | None
    share_of_rate: float
    strain: str | None


class Document(TypedDict):
    """The whole document; `alerts` is null in a single look, which decides none."""

    schema: int
    version: str
    connector: str
    remote_network: str
    vantage: str
    confidence: str
    started_at: str
    duration_seconds: float
    status: str
    summary: str
    checks: list[Row]
    diagnosis: list[CauseFound]
    connector_log: ConnectorLog | None
    learned: Learned
    predictions: Predictions | None
    alerts: AlertsDecided | None
    changes: list[ChangeSeen]
    probing: Probing | None
