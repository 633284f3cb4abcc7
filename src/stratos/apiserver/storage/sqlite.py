"""A journal in one SQLite file, in write-ahead mode and synced before any write is acknowledged."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from stratos.apiserver.storage.contract import Event, Stored
from stratos.apiserver.storage.store import DEFAULT_HISTORY, Store
from stratos.base.errors import Unavailable

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS latest (only INTEGER PRIMARY KEY CHECK (only = 0), revision INTEGER NOT NULL);
INSERT OR IGNORE INTO latest VALUES (0, 0);
"""
_PUT = """
INSERT INTO objects VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision
"""


def open_sqlite(path: Path, *, in_thread: bool = True, history_limit: int = DEFAULT_HISTORY) -> Store:
    """A durable store in ``path``, created if it does not exist.

    ``in_thread=False`` commits on the event loop instead, which is what virtual time needs.
    """
    return Store(SqliteJournal(path), in_thread=in_thread, history_limit=history_limit)


class SqliteJournal:
    """Implements ``Journal``. The connection is used from one thread at a time, not always the same one."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)  # Secrets are in it; SQLite's other files take after this one
        self._connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._connection.close()
            raise Unavailable(
                f"{path} cannot be used: {error}", hint="check that no other server is running on the same file"
            ) from error

    def load(self) -> tuple[Iterable[Stored], int]:
        rows = self._connection.execute("SELECT key, value, revision FROM objects")
        [(revision,)] = self._connection.execute("SELECT revision FROM latest")
        return (Stored(*row) for row in rows), revision

    def append(self, events: Sequence[Event]) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            for event in events:
                if event.value is None:
                    execute("DELETE FROM objects WHERE key = ?", (event.key,))
                else:
                    execute(_PUT, (event.key, event.value, event.revision))
            execute("UPDATE latest SET revision = ?", (events[-1].revision,))
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise

    def close(self) -> None:
        self._connection.close()
