import pytest

from daemon.config.flags import config_for_flags
from daemon.config.problems import ConfigError
from daemon.config.schema import Config, Connector, PortRange, Resource


def _one(port: int) -> PortRange:
    return PortRange(port, port)


def test_flags_make_the_configuration_of_a_file() -> None:
    """`--network` and `--resource` say the same as the smallest file."""
    config = config_for_flags("acme", ["db.corp:5432,8000-8010"]).config
    resource = Resource(name="db.corp", address="db.corp", tcp=(_one(5432), PortRange(8000, 8010)))
    assert config == Config(connector=Connector(network="acme"), resources=(resource,))


@pytest.mark.parametrize(
    ("flag", "address", "ports"),
    [
        ("db.corp", "db.corp", None),
        ("DB.corp.:1", "db.corp", (_one(1),)),
        ("10.1.2.3:22", "10.1.2.3", (_one(22),)),
        ("2001:db8::1", "2001:db8::1", None),
        ("[2001:DB8::1]:22,23", "2001:db8::1", (_one(22), _one(23))),
        ("[::1]", "::1", None),
        ("10.0.0.0/8", "10.0.0.0/8", None),
        ("10.0.0.0/8:22", "10.0.0.0/8", (_one(22),)),
        ("fd00::/8", "fd00::/8", None),
        ("*.corp:443", "*.corp", (_one(443),)),
    ],
)
def test_the_forms_of_a_resource(flag: str, address: str, ports: tuple[PortRange, ...] | None) -> None:
    """Names, addresses with and without brackets, networks and patterns, each with or without ports."""
    (resource,) = config_for_flags(None, [flag]).config.resources
    assert (resource.name, resource.address, resource.tcp) == (address, address, ports)


def test_several_flags_for_one_address_are_one_resource() -> None:
    """The ports are put together; asking twice for the same port asks once."""
    (resource,) = config_for_flags(None, ["db:1,2", "DB:2,3", "db."]).config.resources
    assert resource.tcp == (_one(1), _one(2), _one(3))


def test_problems_name_the_flag() -> None:
    """All problems of all flags come at once, each with the flag in place of a file."""
    with pytest.raises(ConfigError) as caught:
        config_for_flags("acme corp", ["db:x", "a b", "db2:", "https://wiki"])
    lines = str(caught.value).splitlines()
    assert [line.partition(", expected")[0] for line in lines] == [
        '--network: not the name of a network, got "acme corp"',
        '--resource "a b": address: contains a character that no host name has, got "a b"',
        '--resource "db2:": tcp[0]: not a port or range, got ""',
        '--resource "db:x": tcp[0]: not a port or range, got "x"',
        '--resource "https://wiki": address: a URL, got "https://wiki"',
    ]


def test_a_problem_names_its_own_flag_after_others_were_put_together() -> None:
    """The message is about the flag that is wrong, wherever it stands."""
    with pytest.raises(ConfigError) as caught:
        config_for_flags(None, ["db:1", "DB:2", "wiki:x"])
    assert [problem.file for problem in caught.value.problems] == ['--resource "wiki:x"']
