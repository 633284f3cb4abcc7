"""The container images of the simulated world: how large each one is, whether it exists, and how fast it comes.

An image that nobody described has a size drawn from its name, so that it is the same in every run: 50 MB to 1.5 GB,
and 10 to 50 GB when its name says that it carries a large model.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

MEGABYTE = 10**6
GIGABYTE = 10**9

_SHARE_NEEDED_TO_START = 0.064
"""Of an image's bytes, measured over many images: T. Harter and others, Slacker, FAST 2016."""

_MODEL_NAME = re.compile(r"llama|mistral|mixtral|qwen|gemma|deepseek|falcon|(^|[/:_-])\d+b($|[/:_-])", re.IGNORECASE)


class ImageRegistry:
    """One registry that stands for all of them."""

    def __init__(
        self,
        sizes_bytes: Mapping[str, int] | None = None,
        missing: Iterable[str] = (),
        bandwidth_bytes_per_second: float = 100 * MEGABYTE,
        latency_seconds: float = 0.5,
        load_seconds: Mapping[str, float] | None = None,
    ) -> None:
        self.sizes_bytes = dict(sizes_bytes or {})
        self.missing = set(missing)
        self.bandwidth_bytes_per_second = bandwidth_bytes_per_second
        self.latency_seconds = latency_seconds
        self.load_seconds = dict(load_seconds or {})  # by image: from its container's start to its being ready

    def exists(self, image: str) -> bool:
        return image not in self.missing

    def size_bytes(self, image: str) -> int:
        known = self.sizes_bytes.get(image)
        if known is not None:
            return known
        share = int.from_bytes(hashlib.sha256(image.encode()).digest()[:4]) / 2**32
        low, high = (10 * GIGABYTE, 50 * GIGABYTE) if _MODEL_NAME.search(image) else (50 * MEGABYTE, 1500 * MEGABYTE)
        return int(low + share * (high - low))

    def pull_seconds(self, image: str, *, streamed: bool = False) -> float:
        """How long one host takes to pull it, with the network to itself; or what a container needs of it to start."""
        share = _SHARE_NEEDED_TO_START if streamed else 1.0
        return self.latency_seconds + share * self.size_bytes(image) / self.bandwidth_bytes_per_second
