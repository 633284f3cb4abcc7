"""What this process remembers of the launches it asked for, while EC2 may not show what came of them.

It is lost in a crash, and then the tags of machines tell: by the time a controller is up again, EC2 shows what the last
one launched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from stratos.base.clock import Clock
from stratos.base.errors import Forbidden, StratosError, Throttled, Unauthorized, Unavailable
from stratos.providers.aws.errors import AskedBefore
from stratos.providers.aws.requests import Round
from stratos.providers.contract import Machine

_SEEN_WITHIN = timedelta(seconds=60)  # by then EC2 shows a new machine, whatever its weather
_MOST_REMEMBERED = 2_000  # nobody tells us when a launch is given up, or its machine written down


@dataclass(slots=True)
class _Tried:
    attempts: dict[Round, str] = field(default_factory=dict)  # of those that were refused
    unanswered: Round | None = None
    asked_before_since: datetime | None = None
    machine: Machine | None = None


class Tries:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_token: dict[str, _Tried] = {}

    def machine(self, token: str) -> Machine | None:
        """What was launched for it, as it was then."""
        tried = self._by_token.get(token)
        return tried.machine if tried else None

    def unanswered_first(self, token: str, rounds: Iterable[Round]) -> list[Round]:
        """The rounds, after the one that nobody knows the outcome of, wanted still or not."""
        tried = self._by_token.get(token)
        if tried is None or tried.unanswered is None:
            return list(rounds)
        return [tried.unanswered, *(round_ for round_ in rounds if round_ != tried.unanswered)]

    @contextmanager
    def asking(self, token: str, round_: Round) -> Iterator[str]:
        """Around the call that asks: learn from how it ends.

        What it gives is part of the client token: another one after each refusal, which EC2 would only repeat to the
        same one. The first is always the same, whoever asks.
        """
        tried = self._of(token)
        tried.unanswered = round_
        try:
            yield tried.attempts.get(round_, "")
        except (Unavailable, AskedBefore):
            raise  # there may be a machine
        except (Throttled, Unauthorized, Forbidden):
            raise  # said before the token was looked at: it tells nothing of an earlier call
        except StratosError:
            self.refused(token)
            raise

    def asked_before(self, token: str) -> None:
        """EC2 knows the token in other words, and shows no machine of it. If that lasts, there is none."""
        tried = self._of(token)
        now = self._clock.now()
        if tried.asked_before_since is None:
            tried.asked_before_since = now
        elif now >= tried.asked_before_since + _SEEN_WITHIN:
            self.refused(token)

    def refused(self, token: str) -> None:
        """What was asked for last has brought no machine, and will not."""
        tried = self._of(token)
        if tried.unanswered is not None:
            tried.attempts[tried.unanswered] = self._clock.now().isoformat()
        tried.unanswered = tried.asked_before_since = None

    def launched(self, token: str, machine: Machine) -> None:
        """Whoever asked may fail to write it down, and ask again."""
        self._of(token).machine = machine

    def _of(self, token: str) -> _Tried:
        if token not in self._by_token and len(self._by_token) >= _MOST_REMEMBERED:
            del self._by_token[next(iter(self._by_token))]  # the oldest
        return self._by_token.setdefault(token, _Tried())
