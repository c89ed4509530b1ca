"""The entry point of `healthctl`: exit codes, Ctrl-C and closed pipes are settled here, for every command.

Nothing but the standard library's smallest parts is imported before the guard stands: Ctrl-C during start-up leaves no
traceback either.
"""

import contextlib
import os
import signal
import sys
from types import FrameType, TracebackType

from daemon.cli.exits import EXIT_BROKEN, EXIT_UNKNOWN


def main() -> int:
    """Run `healthctl` with the process's arguments and return its exit code: 0, 1, 2 or 3."""
    sys.excepthook = _fault
    signal.signal(signal.SIGINT, _interrupted_early)
    try:
        _open_streams()
        if sys.argv[1:] == ["--version"]:
            return _version()
        from daemon.cli.group import invoke  # noqa: PLC0415 - under the guard

        return invoke(sys.argv[1:])
    except KeyboardInterrupt:
        return interrupted()


def _version() -> int:
    """Say which version this is without the command line's library: inventories ask every host for it, often."""
    from daemon.version import __version__  # noqa: PLC0415 - under the guard

    try:
        sys.stdout.write(f"healthctl {__version__}\n")
        sys.stdout.flush()
    except BrokenPipeError:  # `--version | true`: nobody is left to be told
        from daemon.cli.output import silence_stdout  # noqa: PLC0415 - hardly ever

        silence_stdout()
    return 0


def _fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End with 3 after the traceback of a fault of ours: Python's own 1 would be read as a warning about the target."""
    _end(kind, error, trace, EXIT_UNKNOWN)


def accept_restarts() -> None:
    """Have a fault of ours end this process so that its supervisor starts it anew, from here on."""
    sys.excepthook = _broken


def _broken(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End as a daemon that broke down: with 3, a mistake in the configuration, systemd would leave it at that."""
    _end(kind, error, trace, EXIT_BROKEN)


def _end(kind: type[BaseException], error: BaseException, trace: TracebackType | None, code: int) -> None:
    sys.__excepthook__(kind, error, trace)
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)


def _open_streams() -> None:
    """Give every later line somewhere to go, in a form that can be written.

    Started with `>&-` or `2>&-` Python has no stream at all; and a terminal that can't show a character must not end
    the program: it gets the character's escape.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - for the whole process
        with contextlib.suppress(AttributeError, ValueError):
            getattr(sys, name).reconfigure(errors="backslashreplace")


def accept_interrupts() -> None:
    """Let Ctrl-C raise KeyboardInterrupt from here on: what was to be imported has been, and there is work to undo."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupted_early(_: int, __: FrameType | None) -> None:
    """End at once. An exception raised in the middle of an import can be swallowed there, or come out as another."""
    os._exit(interrupted())


def interrupted() -> int:
    """Say that the run was cut short by Ctrl-C; a second one while the interpreter shuts down is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write("healthctl: interrupted\n")
        sys.stderr.flush()
    return EXIT_UNKNOWN
