"""Which requests are whose, read from annotations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.apis.meta import ObjectMeta
from stratos.apis.service import Service, ServicePort, ServiceSpec
from stratos.planning.doorman.routes import Reading, Route, RouteTable, Target, read_route

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
HTTP = ServicePort(name="http", port=80)


def a_service(*ports: ServicePort, **annotations: str) -> Service:
    named = {f"doorman.stratos.sh/{name.replace('_', '-')}": value for name, value in annotations.items()}
    metadata = ObjectMeta(name="web", namespace="shop", annotations=named, creation_timestamp=CREATED)
    return Service(metadata=metadata, spec=ServiceSpec(ports=ports or (HTTP,)))


def a_route(name: str, *hosts: str, age_seconds: int = 0) -> Route:
    return Route(
        service=f"shop/{name}",
        created=CREATED - timedelta(seconds=age_seconds),
        hosts=hosts,
        target=Target("Deployment", "shop", name),
        port_name="http",
        http2=False,
    )


def test_a_host_is_all_that_a_service_must_say() -> None:
    """The simple case is one line in a manifest."""
    assert read_route(a_service(host="web.example.com")) == Reading(
        Route(
            service="shop/web",
            created=CREATED,
            hosts=("web.example.com",),
            target=Target("Deployment", "shop", "web"),
            port_name="http",
            http2=False,
            idle_seconds=300,
            hold_seconds=30,
            max_held=1000,
        )
    )


def test_services_that_say_nothing_are_left_alone() -> None:
    """The doorman shares the cluster with everything else."""
    assert read_route(a_service()) == Reading(None)


def test_everything_may_be_said_otherwise() -> None:
    """Each annotation has its effect."""
    reading = read_route(
        a_service(
            HTTP,
            ServicePort(name="rpc", port=9090, app_protocol="kubernetes.io/h2c"),
            host="A.example.com., *.b.example.com, *",
            target="StatefulSet/db",
            port="9090",
            idle_after="10m",
            hold_timeout="1m30s",
            max_held="7",
        )
    )
    assert reading.problems == ()
    assert reading.route is not None
    route = reading.route
    assert route.hosts == ("a.example.com", "*.b.example.com", "*")
    assert route.target == Target("StatefulSet", "shop", "db")
    assert (route.port_name, route.http2) == ("rpc", True)
    assert (route.idle_seconds, route.hold_seconds, route.max_held) == (600, 90, 7)


@pytest.mark.parametrize(
    ("annotations", "named", "kept"),
    [
        ({"host": "web.test, under_score.test"}, "doorman.stratos.sh/host: 'under_score.test' is not a host", True),
        ({"host": " , "}, "doorman.stratos.sh/host names no host", False),
        ({"host": "http://web.test"}, "doorman.stratos.sh/host: 'http://web.test' is not a host", False),
        ({"host": "web.test", "target": "Job/web"}, "doorman.stratos.sh/target: 'Job/web' is no target", False),
        ({"host": "web.test", "target": "other/Deployment/web"}, "doorman.stratos.sh/target: ", False),
        ({"host": "web.test", "port": "https"}, "doorman.stratos.sh/port: the Service has no TCP port 'https'", False),
        ({"host": "web.test", "idle_after": "5"}, "doorman.stratos.sh/idle-after: '5' is not a duration", True),
        ({"host": "web.test", "hold_timeout": "0s"}, "doorman.stratos.sh/hold-timeout: '0s' is shorter", True),
        ({"host": "web.test", "max_held": "-1"}, "doorman.stratos.sh/max-held: '-1' is not a positive", True),
        ({"host": "web.test", "idle_afterr": "5m"}, "doorman.stratos.sh/idle-afterr is not an annotation", True),
    ],
)
def test_a_bad_value_is_named_and_takes_no_more_away_than_it_must(
    annotations: dict[str, str], named: str, kept: bool
) -> None:
    """A typing error in a limit must not take a shop off the net, and must not stay unseen either."""
    reading = read_route(a_service(**annotations))
    assert [problem for problem in reading.problems if problem.startswith(named)] == list(reading.problems)
    assert len(reading.problems) == 1
    assert (reading.route is not None) is kept


def test_the_exact_host_comes_before_the_longest_wildcard_and_that_before_any() -> None:
    """As everywhere on the web: the more is said, the more it counts."""
    table = RouteTable(
        [a_route("exact", "a.b.test"), a_route("near", "*.b.test"), a_route("far", "*.test"), a_route("any", "*")]
    )
    found = {
        authority: route.service if (route := table.find(authority)) is not None else None
        for authority in ("a.b.test", "A.B.Test:8000", "x.b.test", "y.x.b.test", "b.test", "test", "", "[::1]:80")
    }
    assert found == {
        "a.b.test": "shop/exact",
        "A.B.Test:8000": "shop/exact",
        "x.b.test": "shop/near",
        "y.x.b.test": "shop/near",
        "b.test": "shop/far",
        "test": "shop/any",
        "": None,
        "[::1]:80": "shop/any",
    }


@given(order=st.permutations(range(4)))
def test_of_services_that_want_the_same_host_the_oldest_has_it_whatever_the_order(order: list[int]) -> None:
    """Somebody who adds a Service must not take over another's name, and all doormen must agree."""
    routes = [
        a_route("new", "web.test", "new.test"),
        a_route("old", "web.test", age_seconds=60),
        a_route("twin-b", "twin.test"),
        a_route("twin-a", "twin.test"),
    ]
    table = RouteTable(routes[index] for index in order)
    owners = {host: route.service for host in ("web.test", "new.test", "twin.test") if (route := table.find(host))}
    assert owners == {"web.test": "shop/old", "new.test": "shop/new", "twin.test": "shop/twin-a"}
    assert {(conflict.host, conflict.winner, conflict.loser) for conflict in table.conflicts} == {
        ("web.test", "shop/old", "shop/new"),
        ("twin.test", "shop/twin-a", "shop/twin-b"),
    }
