"""Mistakes in the chart's values: refused before anything is installed, with what is wrong and where."""

from typing import Any

import pytest

from tests.support.chart import helm, rendered

SCHEMA = [
    ({"mod": "sidecar"}, ["mod"]),
    ({"mode": "statefulset"}, ["/mode", "sidecar", "deployment", "daemonset"]),
    ({"replicaCount": 2}, ["replicaCount"]),
    ({"port": 80}, ["/port", "1,024"]),
    ({"image": {"digest": "latest"}}, ["/image/digest"]),
    ({"resources": {"limits": {"memory": "lots"}}}, ["/resources/limits/memory"]),
    ({"secretData": {"a/b": "x"}}, ["a/b"]),
    ({"remoteNetworks": [{"config": {}}]}, ["/remoteNetworks/0", "name"]),
    ({"remoteNetworks": [{"name": "Main Office"}]}, ["/remoteNetworks/0/name"]),
    ({"networkPolicy": {"named": [{"cidr": "everywhere"}]}}, ["/networkPolicy/named/0/cidr"]),
    ({"serviceMonitor": {"interval": "often"}}, ["/serviceMonitor/interval"]),
    ({"serviceMonitor": {"endpoint": {"scrapeTimeout": "5s"}}}, ["/serviceMonitor/endpoint"]),
    ({"fullnameOverride": "Main Office"}, ["/fullnameOverride"]),
    ({"probes": None}, ["missing property 'probes'"]),
    ({"networkPolicy": {"dns": None}}, ["/networkPolicy", "missing property 'dns'"]),
    ({"config": {"conector": {}}}, ["/config", "conector"]),
    ({"config": {"connector": {"network": "https://acme.twingate.com"}}}, ["/config/connector/network"]),
    ({"config": {"resources": [{"name": "DB", "adress": "db.corp"}]}}, ["/config/resources/0", "adress"]),
    ({"config": {"resources": [{"name": "DB", "address": "db.corp", "tcp": [70000]}]}}, ["/config/resources/0/tcp/0"]),
    ({"config": {"schedule": {"interval": "soon"}}}, ["/config/schedule/interval"]),
    ({"config": {"alerting": {"after": {"ConnectorDwn": "1m"}}}}, ["ConnectorDwn", "ConnectorDown"]),
    ({"config": {"alerting": {"external_labels": {"severity": "x"}}}}, ["severity"]),
    (
        {"remoteNetworks": [{"name": "a", "config": {"dns": {"timeout": "no"}}}]},
        ["/remoteNetworks/0/config/dns/timeout"],
    ),
]
RULES = [
    ({"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}, "scraped twice"),
    ({"mode": "sidecar", "serviceMonitor": {"enabled": True}}, "use podMonitor.enabled"),
    ({"mode": "sidecar", "networkPolicy": {"enabled": True}}, "it would cut off the Connector"),
    ({"mode": "daemonset", "networkPolicy": {"enabled": True}}, "no NetworkPolicy holds for pods with hostNetwork"),
    ({"mode": "daemonset", "persistence": {"enabled": True}}, "only in mode deployment, got mode daemonset"),
    ({"mode": "daemonset", "remoteNetworks": [{"name": "a"}]}, "would listen on the same port"),
    ({"remoteNetworks": [{"name": "a"}, {"name": "a"}]}, "another is called a already; rename one"),
    ({"remoteNetworks": [{"name": "daemon"}]}, "another is called daemon already"),
    ({"secretData": {"config.yaml": "x"}}, "the chart writes this file itself"),
    ({"config": {"web": {"listen": ["127.0.0.1:19440"]}}, "port": 19441}, "nothing listens on port 19441"),
    ({"config": {"web": {"listen": ["127.0.0.1:19440"]}}}, "open only on loopback"),
    ({"config": {"resource_sources": [{"type": "file"}]}}, "not in this version"),
    ({"config": {"web": {"config_file": "web.yaml"}}}, "existingSecret"),
    ({"config": {"web": {"config_file": "web.yaml"}}, "existingSecret": "web"}, "set probes.via to socket"),
    ({"mode": "daemonset", "config": {"connector": {"name": "a"}}}, "each is called as its node is"),
]


@pytest.mark.parametrize(("values", "said"), SCHEMA, ids=[" ".join(said) for _, said in SCHEMA])
def test_the_schema_refuses_it_and_says_where(values: dict[str, Any], said: list[str]) -> None:
    """A wrong or unknown value is refused by the schema; the message has its place."""
    with pytest.raises(helm().HelmError) as refused:
        rendered(values)
    assert all(word in str(refused.value) for word in said), str(refused.value)


def test_a_heading_with_nothing_below_it_is_nothing() -> None:
    """`config:` with everything below it commented out is as if it were not there."""
    assert rendered({"config": None, "prometheusRule": {"enabled": True}}) == rendered(
        {"prometheusRule": {"enabled": True}}
    )


@pytest.mark.parametrize(("values", "said"), RULES, ids=[said for _, said in RULES])
def test_values_that_contradict_each_other_are_refused(values: dict[str, Any], said: str) -> None:
    """What no schema can say is refused by the templates, with what to do instead."""
    with pytest.raises(helm().HelmError) as refused:
        rendered(values)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "text",
    ["0o17", "0x1F", "1_000", "~", "y", "no", "null", "1e3", ".inf", "22:30", "2001-01-01", "2026-02-01T22:00Z", "a: b",
     "a #b", "- x", "*a", "!t", "%d", "@x", "{a}", "{{ .Values }}", "[a]", "'q'", '"q"', "line\nbreak", "<b>&", "é 😀"],
)  # fmt: skip
def test_text_stays_text_on_its_way_to_the_daemon(text: str) -> None:
    """Whatever a name looks like in YAML, the daemon reads the very text that was given to Helm."""
    from daemon.config.load import parse_config  # noqa: PLC0415 - beside its only use
    from tests.support.chart import only  # noqa: PLC0415

    config = {"connector": {"remote_network": text}, "alerting": {"external_labels": {"site": text}}}
    map_of_files = only(rendered({"config": config, "mode": "sidecar", "tests": {"enabled": False}}), "ConfigMap")
    read = parse_config(map_of_files["data"]["config.yaml"].encode(), "config.yaml").config
    assert read.connector.remote_network == text.replace("\n", "\\x0a")
    assert read.alerting.external_labels["site"] == text.replace("\n", "\\x0a")
