"""The container images on one host's disk, and how new ones get there: one at a time, at the network's speed."""

from __future__ import annotations

import asyncio

from stratos.apis.pod import Container
from stratos.base.errors import StratosError
from stratos.providers.simulated.host import HostDisk
from stratos.providers.simulated.registry import ImageRegistry


class PullFailed(StratosError):
    """The image could not be had. ``reason`` is the word that a container's waiting state shows."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ImageStore:
    def __init__(self, disk: HostDisk, registry: ImageRegistry) -> None:
        self._disk = disk
        self._registry = registry
        self._pulling = asyncio.Lock()  # kubelets pull one image at a time, unless told otherwise

    def load_seconds(self, image: str) -> float:
        return self._registry.load_seconds.get(image, 0.0)

    async def provide(self, container: Container) -> None:
        """Have the container's image on disk, as its pull policy wants it. Raises `PullFailed`."""
        image, policy = container.image, pull_policy(container)
        if policy == "Never" and image not in self._disk.images:
            raise PullFailed("ErrImageNeverPull", f'Container image "{image}" is not present with pull policy of Never')
        if self.must_pull(container):
            await self.pull(image)

    def must_pull(self, container: Container) -> bool:
        policy = pull_policy(container)
        return policy == "Always" or (policy != "Never" and container.image not in self._disk.images)

    async def pull(self, image: str) -> None:
        """Fetch what is not on disk yet, and ask whether what is there is the newest. Raises `PullFailed`."""
        async with self._pulling:
            await asyncio.sleep(self._registry.latency_seconds)
            if not self._registry.exists(image):
                raise PullFailed("ErrImagePull", f'failed to pull image "{image}": {image}: not found')
            if image not in self._disk.images:
                seconds = self._registry.pull_seconds(image, streamed=self._disk.streams_images)
                await asyncio.sleep(seconds - self._registry.latency_seconds)
                self._disk.images[image] = self._registry.size_bytes(image)


def pull_policy(container: Container) -> str:
    """The policy that is stated, or the one that a tag implies."""
    if container.image_pull_policy:
        return container.image_pull_policy
    _, _, tag = container.image.rpartition("/")[2].partition(":")
    return "Always" if tag in ("", "latest") and "@" not in container.image else "IfNotPresent"
