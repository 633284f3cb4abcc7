"""EC2 counts calls: who asks at the same time should share one, and notice nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from stratos.base.errors import Throttled
from stratos.providers.aws.batching import LARGEST, Batched
from stratos.testing.virtual_time import run


class Cloud:
    """Knows every key but those that begin with ``no-``."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.throttles = False

    async def ask(self, keys: tuple[str, ...]) -> Mapping[str, str]:
        self.asked.append(keys)
        await asyncio.sleep(0.1)
        if self.throttles:
            raise Throttled("too fast")
        return {key: key.upper() for key in keys if not key.startswith("no-")}


def test_those_who_ask_at_once_share_a_call_and_get_what_they_asked_for() -> None:
    async def main() -> None:
        cloud = Cloud()
        batched = Batched(cloud.ask)

        first, second, third = await asyncio.gather(
            batched.get(["a", "b"]), batched.get(["b", "c"]), batched.get(["no-d"])
        )

        assert cloud.asked == [("a", "b", "c", "no-d")]
        assert (first, second, third) == ({"a": "A", "b": "B"}, {"b": "B", "c": "C"}, {})

    run(main())


def test_who_asks_later_is_not_given_an_old_answer() -> None:
    """A look that was under way before a call took effect must not stand for one after it."""

    async def main() -> None:
        cloud = Cloud()
        batched = Batched(cloud.ask)
        first = asyncio.create_task(batched.get(["a"]))
        await asyncio.sleep(0.05)

        await asyncio.gather(first, batched.get(["a"]))

        assert cloud.asked == [("a",), ("a",)]

    run(main())


def test_more_than_one_call_takes_is_asked_in_several() -> None:
    async def main() -> None:
        cloud = Cloud()
        keys = [f"i-{number}" for number in range(2 * LARGEST + 1)]

        answers = await Batched(cloud.ask).get(keys)

        assert list(answers) == keys
        assert [len(asked) for asked in cloud.asked] == [LARGEST, LARGEST, 1]

    run(main())


def test_nothing_is_asked_for_nobody() -> None:
    async def main() -> None:
        cloud = Cloud()

        assert await Batched(cloud.ask).get([]) == {}
        assert cloud.asked == []

    run(main())


def test_a_refusal_is_one_for_all_who_shared_the_call() -> None:
    """Each of them waits for its turn and asks again."""

    async def main() -> None:
        cloud = Cloud()
        cloud.throttles = True
        batched = Batched(cloud.ask)

        outcomes = await asyncio.gather(batched.get(["a"]), batched.get(["b"]), return_exceptions=True)

        assert [type(outcome) for outcome in outcomes] == [Throttled, Throttled]

    run(main())


def test_one_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    async def main() -> None:
        batched = Batched(Cloud().ask)
        impatient, patient = (asyncio.create_task(batched.get([key])) for key in ("a", "b"))
        await asyncio.sleep(0.05)
        impatient.cancel()

        assert await patient == {"b": "B"}
        with pytest.raises(asyncio.CancelledError):
            await impatient

    run(main())
