"""The Connector as a Docker container: found by name or by image, and watched over restarts and recreation."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from checks.blocking import Blocking, BusyError
from checks.model import Reason
from checks.net.text import printable
from checks.runtime.docker_api import Answer, DockerApi, Trouble
from checks.runtime.docker_state import Inspected, Listed, decode_inspected, decode_list, sighting
from checks.runtime.model import DOCKER_HOST, IMAGE, AmbiguousError, RuntimeName, Sighting

LOOK_S = 8.0  # a list and some containers, each within milliseconds; with `ANSWER_S` for one that hangs
CLOSE_S = 1.0
MAX_LOOKED_INTO = 50  # containers whose image has no name left: as many old ones pile up on a host that is never pruned
MAX_SHOWN = 10  # names in one message
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}\Z", re.ASCII)  # Docker's own rule, and ids
_CHOOSE = "Set connector.container to the name of the one that is meant (docker ps --all shows them)."


class DockerRuntime:
    """Looks at one Connector in Docker (a `Runtime`).

    `container` is its name or id, `label=KEY[=VALUE]` or `image=REPOSITORY`; None: `image=twingate/connector`. Once
    found it is watched by its name, which it keeps when it is recreated (docker compose up), not by its changing id.
    """

    def __init__(self, docker_host: str, container: str | None = None, look_s: float = LOOK_S) -> None:
        self._host = docker_host
        kind, equals, what = (container or f"image={IMAGE}").partition("=")
        self._wanted = None if equals else container
        self._label = what if equals and kind == "label" else None
        self._image = what if equals and kind == "image" else None
        self._look_s = look_s
        self._api = DockerApi(docker_host)
        self._blocking = Blocking("docker")
        self._name: str | None = None  # of the container found; in the thread, as is `_created`
        self._created = 0.0
        self._unlooked = 0

    @property
    def name(self) -> RuntimeName:
        """How the Connector runs."""
        return "docker"

    async def look(self) -> Sighting:
        """Look once, within `look_s` seconds; several Connectors and no choice are a look that finds none."""
        try:
            return await self.find()
        except AmbiguousError as error:
            return self._unseen(Reason.NOT_FOUND, str(error), _CHOOSE)

    async def find(self) -> Sighting:
        """Look once; as `look`, but raises AmbiguousError when several run and none was chosen."""
        try:
            found = await self._blocking.call(self._look, self._look_s)
        except TimeoutError:
            found = Trouble(f"Docker at {self._host} did not answer within {self._look_s:g} s", self._by_hand)
        except BusyError:
            found = Trouble(f"Docker at {self._host} has not answered for several looks", self._by_hand)
        if isinstance(found, Trouble):
            return self._unseen(Reason.PERMISSION_DENIED, found.evidence, found.action)
        if isinstance(found, _Several):
            raise AmbiguousError(
                f"several Connectors run in Docker here ({found}) and connector.container names none of them: "
                "set it to one"
            )
        return found

    async def close(self) -> None:
        """End the thread; one that still waits for Docker is left behind."""
        await self._blocking.close(CLOSE_S)
        self._api.close()

    @property
    def _by_hand(self) -> str:
        return f"Mend Docker: what it runs is not known meanwhile. Ask it by hand: docker --host {self._host} ps"

    def _unseen(self, problem: Reason, evidence: str, action: str) -> Sighting:
        return Sighting(
            runtime="docker", name=self._wanted or self._name or "", problem=problem, evidence=evidence, action=action
        )

    def _look(self) -> "Sighting | Trouble | _Several":
        """Look once, in the thread. It returns what it could not find out: an exception would carry the answers."""
        for name in dict.fromkeys(name for name in (self._wanted, self._name) if name):
            found = self._inspect(name)
            if found is not None:
                return found
        if self._wanted:
            return self._unseen(
                Reason.NOT_FOUND,
                f"Docker has no container {self._wanted}",
                "Start it, or correct connector.container (docker ps --all shows the names).",
            )
        return self._search()

    def _search(self) -> "Sighting | Trouble | _Several":
        """Find the container by its image: the only one, else the only one that runs."""
        filters = f"&filters={quote(json.dumps({'label': [self._label]}))}" if self._label else ""
        answer = self._api.get(f"/containers/json?all=1{filters}")
        if isinstance(answer, Trouble):
            return answer
        listed = decode_list(answer.body) if answer.status == 200 else None
        if listed is None:
            return self._refused(answer)
        candidates = self._candidates(listed)
        if self._name is not None:
            return self._search_heir(candidates)
        running = [each for each in candidates if each.state == "running"] or candidates
        if not running:
            return self._unseen(
                Reason.NOT_FOUND,
                f"no container {self._meant} is in Docker at {self._host}{self._but()}",
                "Start the Connector, or name its container in connector.container.",
            )
        if len(running) > 1:
            return _Several(running)
        return self._inspect(running[0].id) or self._vanished(running[0].name)

    def _search_heir(self, candidates: Sequence[Listed]) -> "Sighting | Trouble":
        """Our container is gone, by its name too: only one made after it may have taken its place.

        Another Connector that was here all the time has its own watcher; that it runs says nothing about ours.
        """
        heirs = [each for each in candidates if each.state == "running" and each.created > self._created]
        if len(heirs) == 1:
            return self._inspect(heirs[0].id) or self._vanished(heirs[0].name)
        return self._vanished(self._name or "", candidates)

    def _vanished(self, name: str, others: Sequence[Listed] = ()) -> Sighting:
        also = f"; {self._meant} there are: {_Several(others)}" if others else ""
        return self._unseen(Reason.NOT_FOUND, f"the container {name} is gone{also}", f"Start it anew. {_CHOOSE}")

    def _candidates(self, listed: Sequence[Listed]) -> list[Listed]:
        """Return the containers that have the label, else those of the image.

        When a tag such as `1` was pulled anew, the list names an older container's image by its id: the name that it
        was started with stands in the container itself.
        """
        found = []
        unnamed = 0
        for each in listed:
            belongs = True if self._image is None else each.runs(self._image)
            if belongs is None:
                unnamed += 1
                belongs = unnamed <= MAX_LOOKED_INTO and self._started_from_image(each)
            if belongs:
                found.append(each)
        self._unlooked = max(0, unnamed - MAX_LOOKED_INTO)
        return found

    @property
    def _meant(self) -> str:
        return f"with the label {self._label}" if self._label else f"of the image {self._image}"

    def _but(self) -> str:
        return f" ({self._unlooked} whose image has no name were not looked into)" if self._unlooked else ""

    def _started_from_image(self, listed: Listed) -> bool:
        answer = self._api.get(f"/containers/{listed.id}/json") if _NAME.match(listed.id) else None
        if answer is None or isinstance(answer, Trouble) or answer.status != 200:
            return False
        decoded = decode_inspected(answer.body)
        return decoded is not None and decoded[0].runs(self._image or IMAGE)

    def _inspect(self, name: str) -> "Sighting | Trouble | None":
        """Look into one container; None when Docker has none of that name."""
        if not _NAME.match(name):
            return None
        answer = self._api.get(f"/containers/{name}/json")
        if isinstance(answer, Trouble):
            return answer
        if answer.status == 404:
            return None
        decoded = decode_inspected(answer.body) if answer.status == 200 else None
        # Its name goes on into questions and into the helper's arguments.
        if decoded is None or not _NAME.match(decoded[0].plain_name):
            return self._refused(answer)
        found, environment = decoded
        self._remember(found)
        seen = sighting(found, environment)
        return seen if self._host == DOCKER_HOST else replace(seen, engine=self._host)

    def _remember(self, found: Inspected) -> None:
        self._name = found.plain_name
        self._created = found.created_at or self._created

    def _refused(self, answer: Answer) -> Trouble:
        if answer.status == 200:
            return Trouble(f"what Docker at {self._host} answered can't be read", self._by_hand)
        return Trouble(
            f"Docker at {self._host} answered HTTP {answer.status} to the question for its containers",
            "Whoever stands before Docker's socket must let GET /containers/json and /containers/NAME/json through.",
        )


class _Several(tuple[Listed, ...]):
    """Containers of which one is meant; shown by name."""

    __slots__ = ()

    def __str__(self) -> str:
        names = sorted(printable(each.name) for each in self)[:MAX_SHOWN]
        return ", ".join(names) + (f" and {len(self) - MAX_SHOWN} more" if len(self) > MAX_SHOWN else "")
