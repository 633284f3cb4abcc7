"""Identities come through the door too, so that one seed names everything the same way twice."""

from __future__ import annotations

import random
import uuid
from typing import Protocol

# The letters Kubernetes draws generated names from: no vowels, so no words; no look-alikes.
_NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class IdSource(Protocol):
    def uid(self) -> str:
        """A UUID as text."""
        ...

    def suffix(self, length: int = 5) -> str:
        """Random letters for the end of a generated name."""
        ...


class SeededIds:
    """Identities drawn from a seeded generator. Give it ``random.SystemRandom()`` for unguessable ones."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def uid(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def suffix(self, length: int = 5) -> str:
        return "".join(self._rng.choices(_NAME_LETTERS, k=length))
