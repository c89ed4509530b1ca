"""Where alerts arrive: for each carrier a Prometheus and two Alertmanagers, as shipped; one webhook for all."""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.scenarios import Carrier
from tests.support.alertmanagers import Member, cluster, shipped
from tests.support.netns import Namespace, namespace
from tests.support.prometheus import Prometheus, Setup, prometheus
from tests.support.servers import find
from tests.support.webhook import Webhook, webhook

HUB = "10.90.0.1"
INTERVAL = "30s"  # of scrapes and of evaluations


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What belongs to one carrier; `prometheus` is None where nobody scrapes."""

    carrier: Carrier
    alertmanagers: Sequence[Member]
    prometheus: Prometheus | None

    @property
    def urls(self) -> list[str]:
        """The addresses of the Alertmanagers, as the daemons see them."""
        return [f"http://{HUB}:{member.port}" for member in self.alertmanagers]

    def path(self, receiver: str) -> str:
        """Return where the webhook hears of a receiver of this carrier."""
        return f"/{self.carrier.name}/{receiver}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A namespace that every daemon reaches beside the network that it watches."""

    inside: Namespace
    hook: Webhook
    desks: Mapping[str, Desk]

    def attach(self, place: Namespace, address: str, number: int) -> None:
        """Give a namespace an interface `m0` with this address on the hub's network."""
        ip = find("ip") or "ip"
        peer = f"p{number}"
        argv = [ip, "link", "add", peer, "netns", self.inside.name, "type", "veth", "peer", "m0", "netns", place.name]
        subprocess.run(argv, check=True, timeout=20)
        self.inside.run(f"ip link set {peer} master br0 up")
        place.run(f"ip addr add {address}/16 dev m0")
        place.run("ip link set m0 up")

    def watch(self, targets: Mapping[str, Sequence[str]]) -> None:
        """Have these scraped, by carrier."""
        for name, desk in self.desks.items():
            if desk.prometheus:
                desk.prometheus.aim(targets[name])

    def problems(self) -> list[str]:
        """Return what is wrong with the carriers themselves."""
        with self.inside.entered():
            return [
                f"{name}: rule {rule}: {error}"
                for name, desk in self.desks.items()
                if desk.prometheus
                for rule, error in desk.prometheus.broken_rules().items()
            ]


@contextlib.contextmanager
def hub(folder: Path, carriers: Sequence[Carrier]) -> Iterator[Hub]:
    """Run it until the block ends."""
    with contextlib.ExitStack() as stack:
        inside = stack.enter_context(namespace())
        inside.run("ip link add br0 type bridge")
        inside.run(f"ip addr add {HUB}/16 dev br0")
        inside.run("ip link set br0 up")
        with inside.entered():  # what is started here, stands there
            hook = stack.enter_context(webhook())
            desks = {carrier.name: _desk(stack, folder / carrier.name, carrier, hook) for carrier in carriers}
        yield Hub(inside=inside, hook=hook, desks=desks)


def _desk(stack: contextlib.ExitStack, folder: Path, carrier: Carrier, hook: Webhook) -> Desk:
    folder.mkdir()
    config = shipped(hook, prefix=f"/{carrier.name}")
    members = stack.enter_context(cluster(folder, config, size=2, host="0.0.0.0"))
    server = None
    if carrier.scraped:
        setup = Setup(
            targets=(), alertmanagers=[f"127.0.0.1:{member.port}" for member in members], scrape=INTERVAL,
            evaluation=INTERVAL, external_labels=carrier.external,
        )  # fmt: skip
        server = stack.enter_context(prometheus(folder, setup))
    return Desk(carrier=carrier, alertmanagers=members, prometheus=server)
