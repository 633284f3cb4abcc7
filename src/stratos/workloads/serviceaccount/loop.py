"""Give every namespace its ``default`` ServiceAccount and the ConfigMap with the cluster's certificate."""

from __future__ import annotations

from collections.abc import Iterable

from stratos.apis.meta import KubeObject
from stratos.apis.namespace import CONFIG_MAP, NAMESPACE, SERVICE_ACCOUNT
from stratos.base.errors import AlreadyExists
from stratos.kube.controller import Controller, Requeue
from stratos.workloads.shared import Shared

ACCOUNT = "default"
ROOT_CERTIFICATE = "kube-root-ca.crt"


class NamespaceGiftsLoop:
    def __init__(self, shared: Shared, root_certificate: str) -> None:
        self._shared = shared
        self._root_certificate = root_certificate
        self._namespaces = shared.cache(NAMESPACE)
        self._accounts = shared.cache_of_name(SERVICE_ACCOUNT, ACCOUNT)
        self._config_maps = shared.cache_of_name(CONFIG_MAP, ROOT_CERTIFICATE)

    def controller(self) -> Controller:
        controller = self._shared.controller("serviceaccount", self.reconcile)
        controller.watch(self._namespaces)
        controller.watch(self._accounts, _namespace)
        controller.watch(self._config_maps, _namespace)
        return controller

    async def reconcile(self, name: str) -> Requeue | None:
        namespace = self._namespaces.get(name)
        if namespace is None or namespace.metadata.deletion_timestamp is not None:
            return None
        if self._accounts.get(f"{name}/{ACCOUNT}") is None:
            try:
                await self._shared.create(self._accounts, {"metadata": {"name": ACCOUNT, "namespace": name}})
            except AlreadyExists:
                self._accounts.observe(await self._shared.client.get(SERVICE_ACCOUNT, f"{name}/{ACCOUNT}"))
        await self._keep_certificate(name)
        return None

    async def _keep_certificate(self, namespace: str) -> None:
        data = {"ca.crt": self._root_certificate}
        there = self._config_maps.get(f"{namespace}/{ROOT_CERTIFICATE}")
        if there is not None:
            if there.data != data:
                await self._shared.patch(self._config_maps, there, {"data": data})
            return
        body = {"metadata": {"name": ROOT_CERTIFICATE, "namespace": namespace}, "data": data}
        try:
            await self._shared.create(self._config_maps, body)
        except AlreadyExists:
            self._config_maps.observe(await self._shared.client.get(CONFIG_MAP, f"{namespace}/{ROOT_CERTIFICATE}"))


def _namespace(obj: KubeObject) -> Iterable[str]:
    return (obj.metadata.namespace,)
