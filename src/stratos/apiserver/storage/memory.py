"""The store for simulations and tests: the same behaviour, and nothing outlives the process."""

from __future__ import annotations

from stratos.apiserver.storage.store import DEFAULT_HISTORY, Store


def open_memory(*, history_limit: int = DEFAULT_HISTORY) -> Store:
    return Store(history_limit=history_limit)
