"""The configuration is read beside the loop: politely, and without leaving behind what only the reading needed."""

import gc
import sys
from pathlib import Path

import pytest

from checks.net import endpoint
from daemon import options
from daemon.config import nodes
from daemon.config.load import load_config, parse_config
from daemon.config.problems import ConfigError
from daemon.options import POLITE_S, Options, load_beside
from tests.support.process import quiet_config


def test_others_wait_less_while_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the file is read a thread that waits for the interpreter waits 0.2 ms; afterwards as long as ever."""
    usual, real, seen = sys.getswitchinterval(), load_config, list[float]()

    def spy(file: str) -> object:
        seen.append(sys.getswitchinterval())
        return real(file)

    monkeypatch.setattr(options, "load_config", spy)
    load_beside(Options(config_file=str(quiet_config(tmp_path, ""))))
    with pytest.raises(ConfigError):
        load_beside(Options(config_file=str(tmp_path / "none.yaml")))
    assert seen == [pytest.approx(POLITE_S)] * 2
    assert sys.getswitchinterval() == usual


def test_the_nodes_of_the_file_go_with_the_last_who_needs_them() -> None:
    """What a file is read into is larger than what comes of it: it is free at once, not when cycles are collected."""
    gc.collect()
    gc.disable()
    try:
        loaded = parse_config(b"resources:\n  - {name: A, address: a.test, tcp: [443]}\n", "test.yaml")
        held = [one for one in gc.get_objects() if isinstance(one, nodes.Mapping | nodes.Sequence | nodes.Scalar)]
    finally:
        gc.enable()
    assert held == []
    assert loaded.config.resources[0].name == "A"


def test_what_many_resources_have_in_common_is_one_object() -> None:
    """Equal lists of ports, and labels that nobody wrote, are there once; other lists are their own."""
    lines = [f"{{name: R{n}, address: h{n}.test, tcp: [443, 5432]}}" for n in range(2)]
    lines += ["{name: R2, address: h2.test, tcp: [443], samples: [], probe_ports: [443], labels: {a: b}}"]
    one, other, third = parse_config(f"resources: [{', '.join(lines)}]".encode(), "test.yaml").config.resources
    assert one.tcp is other.tcp
    assert one.labels is other.labels
    assert (one.labels, third.labels) == ({}, {"a": "b"})
    assert third.probe_ports == (443,)
    assert type(third.probe_ports[0]) is int


def test_names_leave_no_trace_where_addresses_are_told() -> None:
    """Thousands of names don't fill the memory of what is an address; all that could be one is looked at."""
    before = endpoint._is_address.cache_info().currsize
    assert not any(endpoint.is_address(f"host-{n}.corp.test") for n in range(100))
    assert endpoint._is_address.cache_info().currsize == before
    for text, expected in {
        "10.0.0.1": True, "fe80::1": True, "::ffff:10.0.0.1": True, "fe80::1%eth0": True, "1": False, "a1": False,
        "": False, "10.0.0.1.": False, "1.2.3.٤": False, "a:b": False, "::": True,
    }.items():  # fmt: skip
        assert endpoint.is_address(text) is expected, text
