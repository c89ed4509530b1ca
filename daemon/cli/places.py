"""Where the running daemon can be asked: its unix socket, else an address on which it listens."""

import os
from dataclasses import dataclass

from checks.net.endpoint import Endpoint, is_loopback
from daemon.cli.options import DEFAULT_CONFIG
from daemon.config.load import convert_nodes, read_config
from daemon.config.nodes import Mapping, Node, Scalar, read_nodes
from daemon.config.problems import ConfigError
from daemon.config.schema import Web

USUAL_SOCKET = "/run/connector-health/api.sock"  # contract: that of the systemd unit
_LOOPBACK = {"localhost": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
_WANTED = ("listen", "socket")


@dataclass(frozen=True, slots=True)
class Place:
    """A unix socket's path, or an endpoint with a literal address."""

    at: str | Endpoint

    def __str__(self) -> str:
        return f"unix:{self.at}" if isinstance(self.at, str) else str(self.at)


def usual_places() -> tuple[Place, ...]:
    """Return where the daemon is asked when there is no file: the unit's socket, then the default address."""
    return (Place(USUAL_SOCKET), *places_of(Web()))


def places_of(web: Web) -> tuple[Place, ...]:
    """Return where a daemon with this configuration is asked: the socket first, then one address.

    An address that only this host can reach is preferred: on others the daemon answers nothing but /metrics.
    """
    sockets = (Place(web.socket),) if web.socket else ()
    near = [reached_at(endpoint) for endpoint in web.listen]
    near.sort(key=lambda endpoint: not is_loopback(endpoint.host))  # stable: else in the order of the file
    return (*sockets, *(Place(endpoint) for endpoint in near[:1]))


def reached_at(endpoint: Endpoint) -> Endpoint:
    """Return the address under which a listening address is reached from this host."""
    return Endpoint(_LOOPBACK.get(endpoint.host, endpoint.host), endpoint.port)


def find_places(config_path: str | None, usual_file: str = DEFAULT_CONFIG) -> tuple[tuple[Place, ...], str]:
    """Return where to ask, and why the usual file could not tell (else empty).

    The usual file's daemon may have been given its socket by a flag, as the unit does: so that socket is tried too.
    Another file's daemon has nothing to do with it: asked there, another Connector would be shown.

    Only `web.listen` and `web.socket` are read: a mistake elsewhere in the file, or a secret that this user may not
    read, is no reason not to be told how things are. Raises: ConfigError when a file that was named can't be read, or
    these keys can't.
    """
    if config_path is not None:
        web = _web(read_config(config_path), config_path)
        return (places_of(web) if config_path != usual_file else _with_usual_socket(web)), ""
    try:
        return _with_usual_socket(_web(read_config(usual_file), usual_file)), ""
    except ConfigError as error:
        return usual_places(), str(error.problems[0]).partition(";")[0]


def _with_usual_socket(web: Web) -> tuple[Place, ...]:
    return places_of(web) if web.socket else (Place(USUAL_SOCKET), *places_of(web))


def _web(data: bytes, file: str) -> Web:
    root, _ = read_nodes(data, file)
    folder = os.path.dirname(os.path.abspath(file))  # noqa: PTH100, PTH120 - as `parse_config` does
    return convert_nodes(_only_places(root), file, folder, []).config.web


def _only_places(root: Node | None) -> Node:
    """Return the tree without all that does not tell where the daemon listens."""
    kept = Mapping(1, 1)
    for key, value in root.items if isinstance(root, Mapping) else ():
        if not (isinstance(key, Scalar) and key.value == "web"):
            continue
        if isinstance(value, Mapping):
            pairs: list[tuple[Node, Node]] = [
                (k, v) for k, v in value.items if isinstance(k, Scalar) and k.value in _WANTED
            ]
            value = Mapping(value.line, value.column, pairs)  # noqa: PLW2901 - the same, cut down
        kept.items.append((key, value))
    return kept
