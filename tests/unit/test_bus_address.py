"""Where the bus is: one server, or some nodes of a cluster."""

from __future__ import annotations

import pytest

from waypost.platform.redis import RedisUnusable, open_bus_redis


def test_a_plain_address_is_one_server():
    for url in ("redis://127.0.0.1:6379/1", "unix:///run/valkey.sock", "rediss://:secret@host:6380"):
        found = open_bus_redis(url)
        assert not found.is_cluster
        assert len(found.seeds) == 1


def test_a_clusters_address_names_some_of_its_nodes_who_share_a_name_and_a_password():
    found = open_bus_redis("redis+cluster://waypost:a%20secret@10.0.0.1:7001,node-2:7002,[::1]:7003")
    assert found.is_cluster
    given = [seed.connection_pool.connection_kwargs for seed in found.seeds]
    assert [(each["host"], each["port"]) for each in given] == [("10.0.0.1", 7001), ("node-2", 7002), ("::1", 7003)]
    assert {(each["username"], each["password"]) for each in given} == {("waypost", "a secret")}
    other = found.at("10.0.0.9", 7009).connection_pool.connection_kwargs
    assert (other["host"], other["port"], other["password"]) == ("10.0.0.9", 7009, "a secret")


def test_a_cluster_is_spoken_to_over_tls_where_the_address_says_so():
    found = open_bus_redis("rediss+cluster://10.0.0.1:7001")
    at_first, at_another = found.seeds[0].connection_pool, found.at("10.0.0.2", 7001).connection_pool
    assert at_first.connection_class.__name__ == at_another.connection_class.__name__ == "SSLConnection"


@pytest.mark.parametrize(
    "url",
    [
        "", "nonsense", "http://host:1", "redis+cluster://", "redis+cluster://a:1,,b:2", "redis+cluster://a:1,:2",
        "redis+cluster://a:port", "redis+cluster://a:99999", "http+cluster://a:1", "redis+cluster://a:0",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_the_settings_name_and_without_the_address(url: str):
    with pytest.raises(RedisUnusable) as raised:
        open_bus_redis(url)
    assert "WAYPOST_BUS_URL" in str(raised.value)
    assert not url or url not in str(raised.value)
