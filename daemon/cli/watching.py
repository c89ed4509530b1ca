"""Showing the daemon's document once, or again and again: laid out for the terminal that is there now."""

import shutil
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from checks.model import EXIT_CODES, Status
from daemon.cli.answer import as_json, read_document
from daemon.cli.ask import AskError, Reply, UnreachableError, ask
from daemon.cli.exits import EXIT_UNKNOWN
from daemon.cli.main import accept_interrupts
from daemon.cli.nearest import safe
from daemon.cli.output import complain, emit
from daemon.cli.places import Place
from daemon.cli.render_status import Look, render
from daemon.cli.terminal import fancy, width_of

WATCH_S = 2.0  # how often it is asked again: the soonest at which a confirmation can change anything
ONE_LINE, INDENTED = -1, 2  # of `as_json`

# A frame: from the top left corner, without wrapping (a wrapped line would scroll), each line cleared to its end.
_BEGIN, _CLEAR_LINE, _END = "\x1b[?7l\x1b[H", "\x1b[K", "\x1b[J\x1b[?7h"
_CLEAR = "\x1b[2J"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Where to ask, why the usual file could not tell that (else empty), and how to show what comes."""

    places: tuple[Place, ...]
    note: str = ""
    json: bool = False
    everything: bool = False

    def look(self, *, again: bool = False) -> tuple[int, str]:
        """Ask once; return the exit code and the text to show. Raises: AskError.

        `again`: it is one of many, so JSON takes one line, and on a terminal what may fall off its end comes last.
        """
        reply = self.ask("/api/v1/status")
        try:
            whole = read_document(reply.body)
        except ValueError as error:
            raise AskError(
                f"{safe(str(reply.place))} is no connector-health of this version: {safe(str(error))}"
            ) from error
        code = EXIT_CODES[Status(whole["status"])]
        if self.json:
            return code, as_json(reply.body, indent=ONE_LINE if again else INDENTED) + "\n"
        colour = fancy(sys.stdout)
        look = Look(width_of(sys.stdout), colour, self.everything, rows_first=again and colour)
        return code, render(whole, datetime.now(UTC).timestamp(), look)

    def ask(self, path: str) -> Reply:
        """Ask for a path. Raises: AskError."""
        try:
            return ask(self.places, path)
        except UnreachableError as error:
            fix = "start it with `healthctl run`, or name its file with --config"
            raise UnreachableError(f"{error}: {fix}{self.note and f' ({self.note})'}") from error


def once(asking: Asking) -> int:
    """Show the document; return the exit code of its verdict, or 3 when there is none."""
    try:
        code, text = asking.look()
    except AskError as error:
        complain(str(error))
        return EXIT_UNKNOWN
    emit(text)
    return code


def alive(asking: Asking) -> int:
    """Say whether the daemon's loop lives; return 0 or 3."""
    try:
        reply = asking.ask("/-/healthy")
        if reply.body.strip() != b"healthy":
            raise AskError(f"what answers at {safe(str(reply.place))} is not connector-health")  # noqa: TRY301
    except AskError as error:
        complain(str(error))
        return EXIT_UNKNOWN
    emit(f"alive: the daemon answers at {safe(str(reply.place))}\n")
    return 0


def watch(asking: Asking) -> int:
    """Show the document every 2 s until Ctrl-C or until nobody reads; return the last exit code.

    A daemon that does not answer is said and asked again: it may be restarting.
    """
    accept_interrupts()
    code, frames = EXIT_UNKNOWN, 0
    redraw = fancy(sys.stdout) and not asking.json
    try:
        while True:
            try:
                code, text = asking.look(again=True)
            except AskError as error:
                code, text = EXIT_UNKNOWN, f"healthctl: {error}\n" if redraw else ""
                if not redraw:
                    complain(str(error))
            if redraw:
                text = ("" if frames else _CLEAR) + frame(text, shutil.get_terminal_size().lines)
            elif frames and text and not asking.json:
                text = "\n" + text
            if not emit(text):
                return code
            frames += 1
            time.sleep(WATCH_S)
    except KeyboardInterrupt:
        return code


def frame(text: str, height: int) -> str:
    """Return what draws `text` over what was drawn before; what is too long loses its middle, never its summary."""
    lines = text.removesuffix("\n").split("\n")
    room = height - 1  # the cursor stands on the last line
    if len(lines) > room:
        tail = lines[max(i for i, line in enumerate(lines) if not line or i == 0) :]
        kept = max(0, room - len(tail) - 1)
        more = f"… {len(lines) - kept - len(tail)} more lines: healthctl status"
        lines = [*lines[:kept], more, *tail][-max(room, 1) :]
    return _BEGIN + "".join(f"{_CLEAR_LINE}{line}\n" for line in lines) + _END
