"""The configuration: from a file, from bytes, or from the flags of one command."""

import os
from dataclasses import dataclass
from pathlib import Path as FilePath

from daemon.config.convert import Converter, TooManyProblemsError
from daemon.config.nodes import MAX_BYTES, Mapping, Node, Scalar, Sequence, read_nodes
from daemon.config.notes import REFUSED, warnings
from daemon.config.problems import ConfigError, Problem
from daemon.config.rules import check_rules
from daemon.config.schema import Config


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used, what its author should know, and the file it came from."""

    config: Config
    warnings: tuple[Problem, ...]
    file: str


def load_config(path: str | os.PathLike[str]) -> Loaded:
    """Load a file. Raises: ConfigError with everything that is wrong with it."""
    return parse_config(read_config(path), os.fspath(path))


def read_config(path: str | os.PathLike[str]) -> bytes:
    """Read a file, and no more of it than a configuration may have. Raises: ConfigError."""
    file = os.fspath(path)
    try:
        with FilePath(file).open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigError([Problem(file, 0, 0, "", _unreadable(error))]) from None


def _unreadable(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file; create it, or name another with --config or $CONNECTOR_HEALTH_CONFIG"
    if isinstance(error, PermissionError):
        return f"not readable by the user with id {os.geteuid()}; change its owner or mode, or run as another user"
    if isinstance(error, IsADirectoryError):
        return "a directory, expected a file; name the file in it with --config"
    return f"can't be read: {error}; name another file with --config"


def parse_config(text: bytes, file: str) -> Loaded:
    """Read a configuration; `file` is named in messages, and its folder is where relative file names start.

    An empty one is valid: everything has a default. Raises: ConfigError with everything that is wrong with it.
    """
    root, problems = read_nodes(text, file)
    if root is None or (isinstance(root, Scalar) and root.value is None):
        root = Mapping(1, 1)
    folder = os.path.dirname(os.path.abspath(file))  # noqa: PTH100, PTH120 - may be no file at all
    return convert_nodes(root, file, folder, problems)


def convert_nodes(root: Node, file: str, folder: str, problems: list[Problem]) -> Loaded:
    """Convert nodes and check every rule; `problems` were found before. Raises: ConfigError."""
    converter = Converter(file, folder, list(problems))
    config = None
    try:
        config = converter.document(_without_refused(converter, root), Config)
        check_rules(converter, config)
    except TooManyProblemsError:
        last = max(converter.problems, key=lambda problem: (problem.line, problem.column))
        message = f"{len(converter.problems)} problems; the rest is not listed"
        converter.problems.append(Problem(file, last.line, last.column + 1, "", message))
    if config is None or converter.problems:
        raise ConfigError(converter.problems)
    return Loaded(config, tuple(warnings(config, root, file)), file)


def _without_refused(converter: Converter, root: Node) -> Node:
    """Report keys that this version refuses, and leave them out: their content would only add noise."""
    if not isinstance(root, Mapping):
        return root
    kept = Mapping(root.line, root.column)
    for key, value in root.items:
        refusal = REFUSED.get(str(key.value)) if isinstance(key, Scalar) else None
        if refusal and isinstance(value, Sequence) and value.items:
            converter.report(value, (str(getattr(key, "value", "")),), refusal)
        else:
            kept.items.append((key, value))
    return kept
