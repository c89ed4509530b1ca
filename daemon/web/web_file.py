"""Reading `web.config_file` and the files that it names. Whatever is wrong is told with `file:line:column`."""

import hashlib
import os
import stat
from collections.abc import Iterator

import msgspec

from checks.net.opening import at_once
from daemon.config.convert import Converter, TooManyProblemsError
from daemon.config.nodes import Mapping, Node, Scalar, read_nodes
from daemon.config.problems import ConfigError, Path, Problem, path_text, value_text
from daemon.config.rules import node_at
from daemon.web import tls, web_rules
from daemon.web.access import Access, plain_address
from daemon.web.web_schema import TlsServer, WebFile

MAX_BYTES = 1024 * 1024  # of the file, and of each that it names: a thousand users are 80 kB, a chain is 10


def read_access(file: str, known: bytes = b"") -> Access | None:
    """Read the file and all that it names; None when they are what has the digest `known`. May block.

    Raises: ConfigError with everything that is wrong.
    """
    data = _content(file)
    if isinstance(data, str):
        raise ConfigError([Problem(file, 0, 0, "", data)])
    root, settings = _settings(data, file)
    material = _material(root, settings.tls_server_config, file)
    parts = (data, material.cert, material.key, material.client_ca) if material else (data,)
    digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()
    if digest == known:
        return None
    section = settings.tls_server_config
    context = None
    if material:
        try:
            context = tls.make_context(section, material)
        except tls.MaterialError as error:
            key = error.key if getattr(section, error.key) is not None else f"{error.key}_file"
            raise ConfigError([_problem(file, root, ("tls_server_config", key), str(error))]) from None
    return Access(
        tls=context,
        certificate=section.client_auth_type == "RequireAndVerifyClientCert",
        sans=frozenset(map(plain_address, section.client_allowed_sans)),
        users={name: str(stored).encode() for name, stored in settings.basic_auth_users.items()},
        headers={k: v for k, v in msgspec.to_builtins(settings.http_server_config.headers).items() if v},
        interval=settings.rate_limit.interval,
        burst=settings.rate_limit.burst,
        notes=tuple(_notes(root, settings)),
        digest=digest,
    )


def _settings(data: bytes, file: str) -> tuple[Node, WebFile]:
    """Return what the file says. Raises: ConfigError."""
    root, problems = read_nodes(data, file)
    if root is None or (isinstance(root, Scalar) and root.value is None):
        root = Mapping(1, 1)
    folder = os.path.dirname(os.path.abspath(file))  # noqa: PTH100, PTH120 - links are followed by what opens it
    converter = Converter(file, folder, list(problems))
    settings = None
    try:
        settings = converter.document(root, WebFile)
        web_rules.check(converter)
    except TooManyProblemsError:
        raise ConfigError(converter.problems) from None
    if settings is None or converter.problems:
        raise ConfigError(converter.problems)
    return root, settings


def _material(root: Node, section: TlsServer, file: str) -> tls.Material | None:
    """Return certificates and key, from the file itself or from those it names. Raises: ConfigError."""
    if not section.on:
        return None
    found: dict[str, bytes] = {}
    problems = []
    for key in ("cert", "key", "client_ca"):
        inline, named = getattr(section, key), getattr(section, f"{key}_file")
        content = _content(named) if named is not None else str(inline or "").encode()
        if isinstance(content, str):
            problems.append(_problem(file, root, ("tls_server_config", f"{key}_file"), content))
        else:
            found[key] = content
    if problems:
        raise ConfigError(problems)
    return tls.Material(**found)


def _content(name: str) -> bytes | str:
    """Return what a file holds, or, as text, why it can't be used. Nothing of its content is in that text."""
    try:
        with open(name, "rb", opener=at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return f"not a regular file, got {value_text(name)}, expected a file"
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return f"no such file, got {value_text(name)}; create it or correct the name"
    except PermissionError:
        return f"not readable by the user with id {os.geteuid()}, got {value_text(name)}; change its owner or mode"
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file name"
        return f"{reason}, got {value_text(name)}, expected a readable file"
    return content if len(content) <= MAX_BYTES else f"larger than {MAX_BYTES >> 20} MiB, got {value_text(name)}"


def _notes(root: Node, settings: WebFile) -> Iterator[str]:
    if settings.tls_server_config.on:
        yield from tls.notes_of(settings.tls_server_config)
    if settings.http_server_config.http2 and _written(root, ("http_server_config", "http2")):
        yield "http_server_config.http2: this server speaks HTTP/1.1 only"
    if settings.basic_auth_users and not settings.tls_server_config.on:
        yield "basic_auth_users without tls_server_config: who is on the way reads the passwords"
    if not settings.basic_auth_users and not settings.tls_server_config.on:
        yield "asks for neither TLS nor passwords: addresses are served as if there were no such file"


def _written(root: Node, path: Path) -> bool:
    return isinstance(node_at(root, path), Scalar)


def _problem(file: str, root: Node, path: Path, message: str) -> Problem:
    node = node_at(root, path)
    return Problem(file, node.line, node.column, path_text(path), message)
