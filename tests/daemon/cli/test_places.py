"""Where the daemon is asked."""

from pathlib import Path

import pytest

from checks.net.endpoint import Endpoint
from daemon.cli.places import Place, find_places, places_of, usual_places
from daemon.config.problems import ConfigError
from daemon.config.schema import Web

HERE = Endpoint("127.0.0.1", 19440)


def test_the_usual_places_are_the_contracts() -> None:
    """Without a file: the socket of the systemd unit, then the default address."""
    assert usual_places() == (Place("/run/connector-health/api.sock"), Place(HERE))


@pytest.mark.parametrize(
    ("web", "places"),
    [
        (Web(), (Place(HERE),)),
        (Web(socket="/s"), (Place("/s"), Place(HERE))),
        (Web(socket="/s", listen=()), (Place("/s"),)),
        (Web(listen=()), ()),
        (Web(listen=(Endpoint("0.0.0.0", 1), Endpoint("127.0.0.1", 2))), (Place(Endpoint("127.0.0.1", 1)),)),
        (Web(listen=(Endpoint("::", 1),)), (Place(Endpoint("::1", 1)),)),
        (Web(listen=(Endpoint("10.0.0.5", 1), Endpoint("::1", 2))), (Place(Endpoint("::1", 2)),)),
        (Web(listen=(Endpoint("10.0.0.5", 1), Endpoint("10.0.0.6", 2))), (Place(Endpoint("10.0.0.5", 1)),)),
    ],
)
def test_the_socket_before_one_address_that_answers(web: Web, places: tuple[Place, ...]) -> None:
    """The socket first; of several addresses the first that serves the status to this host."""
    assert places_of(web) == places


def test_without_the_usual_file_the_usual_places_are_asked(tmp_path: Path) -> None:
    """No file is no obstacle; that there is none is remembered, for who finds nobody there."""
    places, note = find_places(None, str(tmp_path / "none.yaml"))
    assert places == usual_places()
    assert note == f"{tmp_path}/none.yaml: no such file"


def test_the_units_socket_belongs_to_the_usual_file(tmp_path: Path) -> None:
    """The unit names its socket by a flag, so the usual file need not. Another file has another daemon."""
    file = tmp_path / "config.yaml"
    file.write_text("web: {listen: ['127.0.0.1:7']}\n")
    there = Place(Endpoint("127.0.0.1", 7))
    for named in (None, str(file)):
        assert find_places(named, str(file)) == ((Place("/run/connector-health/api.sock"), there), "")
    assert find_places(str(file)) == ((there,), "")
    file.write_text("web: {socket: /s, listen: []}\n")
    assert find_places(None, str(file)) == ((Place("/s"),), "")


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    """Asking elsewhere than was meant could show another Connector."""
    with pytest.raises(ConfigError, match="no such file"):
        find_places(str(tmp_path / "none.yaml"))


def test_a_relative_socket_starts_at_the_folder_of_the_file(tmp_path: Path) -> None:
    """As in the daemon."""
    file = tmp_path / "config.yaml"
    file.write_text("web: {socket: api.sock, listen: []}\n")
    assert find_places(str(file)) == ((Place(str(tmp_path / "api.sock")),), "")


@pytest.mark.parametrize("text", ["", "resources: []\n", "- a list\n", "web: {}\n"])
def test_a_file_that_says_nothing_of_it_means_the_default(text: str, tmp_path: Path) -> None:
    """The default address is that of the daemon."""
    file = tmp_path / "config.yaml"
    file.write_text(text)
    assert find_places(str(file))[0] == (Place(HERE),)
