"""Where results go: standard output, or a file that is replaced in one step."""

import contextlib
import os
import stat
import sys
from pathlib import Path

from daemon.cli.exits import EXIT_UNKNOWN

NEW_FILE_MODE = 0o644  # less the umask: a textfile collector runs as another user and must be able to read it


class Destination:
    """Standard output (no path), or a file of which a reader sees the old content or the new, never a part."""

    def __init__(self, path: str | None) -> None:
        self.path = Path(path) if path is not None else None

    def probe(self) -> None:
        """Find out before a long run that the file could not be written. Raises: OSError."""
        if self.path is None or self._special():
            return
        if self.path.is_dir():
            raise IsADirectoryError(21, "is a directory", str(self.path))
        folder = self.path.resolve().parent
        if not folder.is_dir():
            raise FileNotFoundError(2, "no such directory", str(folder))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "the directory is not writable", str(folder))

    def write(self, text: str) -> None:
        """Write the whole result. Raises: OSError for a file; a reader of standard output that has gone is fine."""
        if self.path is None:
            emit(text)
        elif self._special():
            self.path.write_text(text, encoding="utf-8", errors="backslashreplace")
        else:
            _replace(self.path.resolve(), text)

    def _special(self) -> bool:
        """Tell whether the path is a device or a pipe: /dev/null must be written to, not replaced."""
        try:
            mode = self.path.stat().st_mode if self.path is not None else 0
        except OSError:
            return False
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def emit(text: str) -> bool:
    """Write to standard output at once; when the reader has gone (`| head -1`), drop the rest in silence.

    Returns whether there still is a reader. Raises: SystemExit with 3, when it can't be written for another reason (a
    full disk).
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
        return False
    except OSError as error:
        silence_stdout()
        complain(f"standard output: {error.strerror}")
        raise SystemExit(EXIT_UNKNOWN) from error
    return True


def silence_stdout() -> None:
    """Let whatever is still buffered go nowhere: the interpreter's own flush at exit would complain."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def complain(text: str) -> None:
    """Write a diagnostic line to standard error; nobody may be listening."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"healthctl: {text}\n")
        sys.stderr.flush()


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # the end keeps it from matching a collector's *.prom
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, NEW_FILE_MODE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
