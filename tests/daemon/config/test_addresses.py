"""URLs in the file."""

import pytest

from daemon.config.load import parse_config
from daemon.config.problems import ConfigError


@pytest.mark.parametrize("url", ["https://acme.test/ä", "https://acme.test/\u00a0"])
def test_a_url_is_ascii(url: str) -> None:
    """What no request could carry is told when the file is read, not by a fault in the check that asks for it."""
    with pytest.raises(ConfigError, match=r"test\.yaml:1:24: control_plane\.urls\[0\]: "):
        parse_config(f"control_plane: {{urls: ['{url}']}}".encode(), "test.yaml")
