"""`make acceptance`: one cause, one page, with everything real. See README.md beside this file."""

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.acceptance.hub import hub
from tests.acceptance.place import PORT, place
from tests.acceptance.scenarios import CARRIERS, SCENARIOS
from tests.acceptance.watch import Times, Watch, table
from tests.support.servers import require


def main() -> int:
    """Run what was chosen; 0 when each carrier paged each fault once, and resolved it once."""
    chosen = _arguments()
    require("root", "prometheus", "prometheus-alertmanager", "unbound", "nginx", "chronyd", "faketime", "nft", "ip")
    scenarios = [one for one in SCENARIOS if not chosen.scenario or one.name in chosen.scenario]
    carriers = [one for one in CARRIERS if not chosen.carrier or one.name in chosen.carrier]
    times = Times(settle=chosen.settle, hold=chosen.hold, beyond=chosen.beyond, limit=chosen.limit)
    folder = Path(chosen.folder or tempfile.mkdtemp(prefix="acceptance-"))
    folder.mkdir(exist_ok=True)
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ended from outside, it still takes everything down

    def say(text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began:6.0f} s  {text}\n")
        sys.stdout.flush()

    say(f"logs: {folder}")
    with contextlib.ExitStack() as stack:
        center = stack.enter_context(hub(folder, carriers))
        places = []
        for number, scenario in enumerate(scenarios):
            places.append(stack.enter_context(place(folder / scenario.name, scenario, center, number)))
            say(f"stands: {scenario.name}")
        ports = {carrier.name: PORT + number for number, carrier in enumerate(carriers)}
        center.watch({name: [f"{one.address}:{port}" for one in places] for name, port in ports.items()})
        verdicts = Watch(hub=center, places=places, times=times, say=say).run()
    sys.stdout.write(table(verdicts) + "\n")
    return 0 if not any(one.problems for one in verdicts) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance", description=__doc__)
    parser.add_argument(
        "--scenario", action="append", choices=[one.name for one in SCENARIOS], help="only this; again for more"
    )
    parser.add_argument(
        "--carrier", action="append", choices=[one.name for one in CARRIERS], help="only this; again for more"
    )
    parser.add_argument("--folder", help="where logs and states go, instead of a new temporary directory")
    for name, text in (
        ("settle", "before anything is planted"),
        ("hold", "that a fault stays"),
        ("beyond", "watched after it was mended, at least"),
        ("limit", "watched after it was mended, at most"),
    ):
        parser.add_argument(
            f"--{name}", type=float, default=getattr(Times(), name), metavar="S", help=f"seconds {text}"
        )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
