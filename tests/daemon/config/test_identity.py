import pytest

from daemon.config.identity import HOSTNAME_LABEL, POD_LABEL, connector_name
from daemon.config.problems import ConfigError
from daemon.config.schema import Config, Connector

LABELS = {HOSTNAME_LABEL: "from-label", POD_LABEL: "from-pod"}


@pytest.mark.parametrize(
    ("configured", "environ", "in_container", "name"),
    [
        ("office-1", LABELS, True, "office-1"),
        (None, LABELS, True, "from-label"),
        (None, {POD_LABEL: "from-pod", HOSTNAME_LABEL: " "}, True, "from-pod"),
        (None, {}, False, "host"),
        (None, {HOSTNAME_LABEL: "a\x1bb"}, False, "a\\x1bb"),
    ],
)
def test_the_first_known_name_wins(
    configured: str | None, environ: dict[str, str], in_container: bool, name: str
) -> None:
    """Configured, then TWINGATE_LABEL_HOSTNAME, then the pod's label, then the host name."""
    config = Config(connector=Connector(name=configured))
    assert connector_name(config, environ, "host", "config.yaml", in_container=in_container) == name


@pytest.mark.parametrize(("hostname", "in_container"), [("f00d1e5", True), ("", False)])
def test_a_container_without_a_name_is_an_error(hostname: str, in_container: bool) -> None:
    """A random host name would make new series with each deployment; the message says what to set."""
    with pytest.raises(
        ConfigError, match=r"config.yaml: connector.name: not set, .*; set connector.name, or TWINGATE_"
    ):
        connector_name(Config(), {}, hostname, "config.yaml", in_container=in_container)
