"""The entry point of `healthctl`: exit codes, Ctrl-C and closed pipes are settled here, for every command.

Nothing but the standard library's smallest parts is imported before the guard stands: Ctrl-C during start-up leaves no
traceback either.
"""

import contextlib
import sys

EXIT_UNKNOWN = 3  # contract: unknown, usage or configuration error, everywhere


def main() -> int:
    """Run `healthctl` with the process's arguments and return its exit code: 0, 1, 2 or 3."""
    try:
        from daemon.cli.group import invoke  # noqa: PLC0415 - under the guard

        for stream in (sys.stdout, sys.stderr):
            # A terminal that can't show a character must not end the program: it gets the character's escape.
            with contextlib.suppress(AttributeError, ValueError):
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        return invoke(sys.argv[1:])
    except KeyboardInterrupt:
        return interrupted()
    finally:
        _flush()


def _flush() -> None:
    """Write out what is buffered; if nobody reads it any more, the interpreter must not complain at its own flush."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        from daemon.cli.output import silence_stdout  # noqa: PLC0415 - only then

        silence_stdout()


def interrupted() -> int:
    """Say that the run was cut short by Ctrl-C; a second one while the interpreter shuts down is ignored."""
    import signal  # noqa: PLC0415 - only then

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write("healthctl: interrupted\n")
        sys.stderr.flush()
    return EXIT_UNKNOWN
