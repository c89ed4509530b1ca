"""A Learning on a clock that is set by hand, above a store that is a dict."""

from checks.connlog.model import ConnectionSeen
from checks.model import Json
from checks.net.endpoint import Endpoint
from daemon.config.load import parse_config
from daemon.config.schema import Config
from daemon.learning import Learning
from tests.support.lines import established

NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z
HOUR, DAY = 3600.0, 86400.0
RELAY = Endpoint("198.51.100.7", 30001)
CORP = '{name: Corp, address: "*.corp.internal"}'
NET = "{name: Net, address: 10.0.0.0/8, tcp: [443, '8000-8010']}"
ALL = "{name: All, address: app.example.com}"
DB = ("db.corp.internal", 5432)


class LearningDesk:
    """A Learning on a clock that is set by hand, above a store that remembers how often it was written to."""

    def __init__(self, resources: str = f"[{CORP}, {NET}, {ALL}]", rest: str = "") -> None:
        self.now = NOON
        self.kept: dict[str, Json] = {}
        self.writes = 0
        self.config = self.parse(resources, rest)
        self.learning = self.again()

    @staticmethod
    def parse(resources: str, rest: str = "") -> Config:
        """Load a configuration."""
        return parse_config(f"resources: {resources}\n{rest}".encode(), "test.yaml").config

    def again(self) -> Learning:
        """Start anew from what was kept."""
        self.learning = Learning(self.kept.get, self.remember, self.config, lambda: self.now)
        return self.learning

    def remember(self, key: str, value: Json) -> None:
        """Do as the store does."""
        self.writes += 1
        self.kept[key] = value
        if value is None:
            del self.kept[key]

    def note(self, *events: ConnectionSeen) -> None:
        """Hear events."""
        for event in events:
            self.learning.note(event)

    def use(self, address: str = "db.corp.internal", port: int = 5432, *, times: int = 1, **more: object) -> None:
        """Use an endpoint now, so many times within some milliseconds."""
        for number in range(times):
            self.note(established(self.now + number / 1000 - 1, address, port, **more))

    def relays(self, times: int = 10, *relays: Endpoint) -> None:
        """Have Relays named in so many lines about a connection of no interest."""
        self.use("elsewhere.test", 1, times=times, relays=relays or (RELAY,))

    @property
    def samples(self) -> dict[tuple[str, int], bool]:
        """What was learned, and whether it is active."""
        return {(s.address, s.port): s.active for s in self.learning.learned.samples}

    @property
    def proven(self) -> dict[str, bool]:
        """The Relays, and whether they are proven."""
        return {str(r.endpoint): r.proven for r in self.learning.learned.relays}
