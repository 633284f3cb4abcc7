"""Two leaders would start every machine twice; no leader would start none."""

from __future__ import annotations

import asyncio
import io
import logging
import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kube.embedded import embedded_client
from stratos.apis.lease import LEASE
from stratos.base.errors import Unavailable
from stratos.kube.client import Client
from stratos.kube.lease import LeaderElector
from stratos.kube.transport import NOTHING, Response, StreamResponse, Transport
from stratos.telemetry.logs import ROOT as LOGS
from stratos.telemetry.logs import configure
from stratos.testing.virtual_time import VirtualClock, run

KEY = "kube-system/stratos"


class Cut:
    """A transport whose cable can be pulled: before requests arrive, or after, so that only the answers are lost."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.loses: str = "nothing"
        self.lag_seconds = 0.0

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: bytes | None = None,
    ) -> Response:
        await asyncio.sleep(self.lag_seconds)
        if self.loses == "requests":
            raise Unavailable("the cable is pulled")
        response = await self._transport.request(method, path, query=query, headers=headers, body=body)
        if self.loses == "answers":
            raise Unavailable("the cable is pulled")
        return response

    def stream(self, method: str, path: str, **_: object) -> StreamResponse:
        raise NotImplementedError

    async def close(self) -> None:
        await self._transport.close()


class Office:
    """Watches over who leads: at no moment may there be two."""

    def __init__(self) -> None:
        self.leading: list[str] = []
        self.history: list[tuple[str, float]] = []

    def elector(self, client: Client, identity: str, *, seed: int = 1) -> LeaderElector:
        async def lead() -> None:
            self.leading.append(identity)
            self.history.append((identity, now()))
            assert len(self.leading) == 1, f"{self.leading} lead at once"
            try:
                await asyncio.Event().wait()
            finally:
                self.leading.remove(identity)

        return LeaderElector(client, KEY, identity, lead, clock=VirtualClock(), rng=random.Random(seed))


def now() -> float:
    return asyncio.get_running_loop().time()


def test_one_leads_and_the_next_takes_over_at_once_when_it_leaves() -> None:
    """An orderly restart must not cost the fifteen seconds of a crash."""

    async def main() -> None:
        office = Office()
        async with embedded_client() as client:
            first = asyncio.create_task(office.elector(client, "first").run())
            await asyncio.sleep(1)
            second = asyncio.create_task(office.elector(client, "second").run())
            await asyncio.sleep(60)
            assert office.leading == ["first"]
            first.cancel()
            await asyncio.sleep(5)
            assert office.leading == ["second"]
            lease = await client.get(LEASE, KEY)
            assert (lease.spec.holder_identity, lease.spec.lease_transitions) == ("second", 1)
            second.cancel()
            await asyncio.gather(first, second, return_exceptions=True)

    run(main())


@pytest.mark.parametrize("lost", ["requests", "answers"])
def test_a_leader_that_is_cut_off_stops_before_the_next_begins(lost: str) -> None:
    async def main() -> None:
        office = Office()
        async with embedded_client() as client:
            cut = Cut(client.transport)
            elector = office.elector(Client(cut), "first")  # type: ignore[arg-type]
            tasks = [asyncio.create_task(elector.run())]
            await asyncio.sleep(1)
            tasks.append(asyncio.create_task(office.elector(client, "second").run()))
            await asyncio.sleep(30)
            cut.loses = lost
            await asyncio.sleep(13)
            assert not elector.is_leader
            assert office.leading == []
            cut.loses = "requests"
            await asyncio.sleep(20)
            assert office.leading == ["second"]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    run(main())


def test_leadership_ends_by_the_own_clock_even_if_nothing_is_heard() -> None:
    """Whoever asks `is_leader` right before an irreversible act gets the truth without a round trip."""

    async def main() -> None:
        async with embedded_client() as client:
            cut = Cut(client.transport)
            elector = Office().elector(Client(cut), "only")  # type: ignore[arg-type]
            task = asyncio.create_task(elector.run())
            await asyncio.sleep(1)
            cut.loses = "requests"
            moments = list[bool]()
            for _ in range(15):
                await asyncio.sleep(1)
                moments.append(elector.is_leader)
            assert moments == sorted(moments, reverse=True)
            assert 8 <= sum(moments) <= 10
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(main())


def test_two_that_see_the_leader_gone_at_the_same_moment_do_not_both_take_over() -> None:
    """Both have read the old record before either has written: the server must refuse the second write."""

    async def main() -> None:
        office = Office()
        async with embedded_client() as client:
            spec = {"holderIdentity": "gone", "leaseDurationSeconds": 15}
            await client.create(LEASE, {"metadata": {"namespace": "kube-system", "name": "stratos"}, "spec": spec})
            tasks = list[asyncio.Task[None]]()
            for identity in ("first", "second"):
                far = Cut(client.transport)
                far.lag_seconds = 0.3
                tasks.append(asyncio.create_task(office.elector(Client(far), identity).run()))  # type: ignore[arg-type]
            await asyncio.sleep(60)
            assert len(office.history) == 1
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    run(main())


def test_the_end_of_the_work_ends_the_election() -> None:
    async def main() -> None:
        async with embedded_client() as client:

            async def lead() -> None:
                await asyncio.sleep(100)

            await LeaderElector(client, KEY, "only", lead, clock=VirtualClock(), rng=random.Random(1)).run()
            assert (await client.get(LEASE, KEY)).spec.holder_identity == ""

    run(main())


def test_a_crash_of_the_work_is_raised() -> None:
    async def main() -> None:
        async with embedded_client() as client:

            async def lead() -> None:
                raise ZeroDivisionError

            elector = LeaderElector(client, KEY, "only", lead, clock=VirtualClock(), rng=random.Random(1))
            with pytest.raises(ZeroDivisionError):
                await elector.run()

    run(main())


@settings(max_examples=60)
@given(
    schedule=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["nothing", "requests", "answers"]), st.floats(0.1, 25)),
        max_size=12,
    )
)
def test_there_are_never_two_leaders_and_always_one_in_the_end(schedule: list[tuple[int, str, float]]) -> None:
    """Whatever cables are pulled. (`Office` insists on one at a time.)"""

    async def main() -> None:
        office = Office()
        async with embedded_client() as client:
            cuts = [Cut(client.transport) for _ in range(3)]
            electors = [office.elector(Client(cut), f"candidate-{n}", seed=n) for n, cut in enumerate(cuts)]  # type: ignore[arg-type]
            tasks = [asyncio.create_task(elector.run()) for elector in electors]
            for number, loses, seconds in schedule:
                cuts[number].loses = loses
                await asyncio.sleep(seconds)
            for cut in cuts:
                cut.loses = "nothing"
            await asyncio.sleep(60)
            assert len(office.leading) == 1
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results)

    run(main())


class Forbidding(Cut):
    """A server that knows us, and does not let us."""

    async def request(self, method: str, path: str, **_: object) -> Response:
        return Response(403, {}, b'{"kind":"Status","reason":"Forbidden","message":"leases is forbidden","code":403}')


def test_why_the_lease_is_out_of_reach_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a right missing the process looks well, and nobody leads."""

    async def never() -> None:
        raise AssertionError("it leads without a lease")

    async def story() -> None:
        async with embedded_client() as client:
            denied = Client(Forbidding(client.transport))  # type: ignore[arg-type]
            elector = LeaderElector(denied, KEY, "a", never, clock=VirtualClock(), rng=random.Random(1))
            standing = asyncio.create_task(elector.run())
            await asyncio.sleep(60)
            standing.cancel()
            await asyncio.wait({standing})

    logger = logging.getLogger(LOGS)
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", True)
    told = io.StringIO()
    configure(told, clock=VirtualClock())

    run(story())

    assert told.getvalue().count("lease out of reach") == 1
    assert "leases is forbidden" in told.getvalue()
