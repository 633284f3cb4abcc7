"""Which zone, host or other domain each bin is in, as numbers: one column for each label that rules count pods by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stratos.apis import labels
from stratos.planning.packing.bins import Bins

Codes = NDArray[np.int64]
NOWHERE = -1  # a node without the label is in no domain

BIN = ""  # the key under which each bin is a domain of its own: host ports are counted by it


class Domains:
    """Codes of domains by key, for bins and for lots. Every new machine is a host of its own."""

    def __init__(self, bins: Bins, keys: Sequence[str]) -> None:
        self._bins = bins
        self._codes: dict[str, dict[str, int]] = {}
        self._of_bins: dict[str, Codes] = {}
        self._hosts = 0
        for key in keys:
            codes: dict[str, int] = {}
            values = [node.description.labels.get(key) for node in bins.existing]
            column = [NOWHERE if value is None else codes.setdefault(value, len(codes)) for value in values]
            self._codes[key] = codes
            self._of_bins[key] = np.array(column, dtype=np.int64)
        self._known = len(bins.existing)
        if labels.HOSTNAME in self._codes:
            self._hosts = len(self._codes[labels.HOSTNAME])
        self._of_lots = {key: self._codes_of_lots(key) for key in keys if key != labels.HOSTNAME}
        self._unique = {key: self._tells_bins_apart(key) for key in keys} | {BIN: True}

    def of_bins(self, key: str) -> Codes:
        """The domain of each bin."""
        if key == BIN:
            return np.arange(self._bins.size)
        if self._known < self._bins.size:
            self._admit()
        return self._of_bins[key][: self._bins.size]

    def of_lots(self, key: str) -> Codes:
        """The domain that a machine of each lot is in; not for keys by which every machine has its own."""
        return self._of_lots[key]

    def is_unique(self, key: str) -> bool:
        """Is every bin, and every machine to come, a domain of its own?"""
        return self._unique[key]

    def size(self, key: str) -> int:
        """How many domains there are, or may be."""
        if key == BIN:
            return self._bins.size
        if key == labels.HOSTNAME:
            return self._hosts + self._bins.size - len(self._bins.existing)
        return len(self._codes[key])

    def _admit(self) -> None:
        """Bring the columns up to the machines that were opened."""
        first, last = self._known, self._bins.size
        for key, column in self._of_bins.items():
            if column.size < last:
                column = np.pad(column, (0, max(64, 2 * last) - column.size))
                self._of_bins[key] = column
            if key == labels.HOSTNAME:
                existing = len(self._bins.existing)
                column[first:last] = np.arange(first, last) - existing + self._hosts
            else:
                column[first:last] = self._of_lots[key][self._bins.lot[first:last]]
        self._known = last

    def _codes_of_lots(self, key: str) -> Codes:
        codes = self._codes[key]
        values = [lot.candidates[0].node.labels.get(key) for lot in self._bins.lots]
        return np.array(
            [NOWHERE if value is None else codes.setdefault(value, len(codes)) for value in values], dtype=np.int64
        )

    def _tells_bins_apart(self, key: str) -> bool:
        return key == labels.HOSTNAME and len(self._codes[key]) == len(self._bins.existing)
