"""Asks one webhook over HTTPS and understands its answer."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import aiohttp

from stratos.apiserver.admission.webhook_match import Webhook
from stratos.apiserver.registry.resource import Obj
from stratos.base.errors import Unavailable

ServiceResolver = Callable[[str, str, int], "str | None"]
"""Finds where a service answers: namespace, name and port in, ``https://host:port`` out, nothing if unknown."""

_ANSWER_BYTES_MAX = 3 * 1024 * 1024
_REVIEW_VERSION = "admission.k8s.io/v1"


def no_services(_namespace: str, _name: str, _port: int) -> str | None:
    """For servers without a network of services: webhooks need a URL."""
    return None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a webhook answered."""

    allowed: bool
    status: Mapping[str, Any]
    patch: list[Any] | None
    warnings: tuple[str, ...]


class WebhookCaller:
    """Keeps one HTTP session for all webhooks; `close` it in the end."""

    def __init__(self, resolve_service: ServiceResolver = no_services) -> None:
        self._resolve_service = resolve_service
        self._session: aiohttp.ClientSession | None = None

    async def call(self, webhook: Webhook, review: Obj) -> Verdict:
        """The webhook's verdict on the review's request. Raises `Unavailable` when there is none to be had."""
        body = {"kind": "AdmissionReview", "apiVersion": _REVIEW_VERSION, "request": review}
        return _understand(await self.fetch(webhook, body), review["uid"], mutating=webhook.mutating)

    async def fetch(self, webhook: Webhook, body: Obj) -> bytes:
        """What the webhook answers. Raises `Unavailable` when it cannot be reached, or does not say 200."""
        url, server_name = self._address(webhook.client)
        if self._session is None:
            self._session = aiohttp.ClientSession()
        post = f'failed to call webhook: Post "{url}?timeout={webhook.timeout_seconds:g}s"'
        try:
            async with self._session.post(
                url,
                params={"timeout": f"{webhook.timeout_seconds:g}s"},
                json=body,
                ssl=_trust(webhook.client.get("caBundle")),
                server_hostname=server_name,
                timeout=aiohttp.ClientTimeout(total=webhook.timeout_seconds),
                allow_redirects=False,
            ) as answer:
                content = await answer.content.read(_ANSWER_BYTES_MAX + 1)
                if answer.status != 200:
                    raise Unavailable(f"{post}: the server answered with status {answer.status}")
        except TimeoutError as error:
            raise Unavailable(f"{post}: context deadline exceeded") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(f"{post}: {error}") from error
        return content

    def _address(self, client: Mapping[str, Any]) -> tuple[str, str | None]:
        """The URL to call and, for a service, the name its certificate must carry."""
        if client.get("url"):
            return client["url"], None
        service = client["service"]
        namespace, name, port = service["namespace"], service["name"], service.get("port", 443)
        base = self._resolve_service(namespace, name, port)
        if base is None:
            raise Unavailable(f'failed to call webhook: service "{name}" in namespace "{namespace}" not found')
        return base.rstrip("/") + (service.get("path") or "/"), f"{name}.{namespace}.svc"

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


@lru_cache(maxsize=256)
def _trust(authority_bundle: str | None) -> ssl.SSLContext:
    """TLS settings with the webhook's own authorities, or those of the machine."""
    if not authority_bundle:
        return ssl.create_default_context()
    return ssl.create_default_context(cadata=base64.b64decode(authority_bundle).decode())


def _understand(content: bytes, uid: str, *, mutating: bool) -> Verdict:
    if len(content) > _ANSWER_BYTES_MAX:
        raise Unavailable(f"the webhook's answer is longer than {_ANSWER_BYTES_MAX} bytes")
    try:
        review = json.loads(content)
        if review.get("kind") != "AdmissionReview" or review.get("apiVersion") != _REVIEW_VERSION:
            raise ValueError(
                f"expected webhook response of {_REVIEW_VERSION}, Kind=AdmissionReview, "
                f"got {review.get('apiVersion')}, Kind={review.get('kind')}"
            )
        response = review["response"]
        if response["uid"] != uid:
            raise ValueError(f'expected response.uid="{uid}", got "{response["uid"]}"')
        patch = response.get("patch") if mutating else None
        if patch and response.get("patchType") != "JSONPatch":
            raise ValueError(f'invalid response.patchType "{response.get("patchType", "")}", expected "JSONPatch"')
        operations = json.loads(base64.b64decode(patch, validate=True)) if patch else None
        warnings = tuple(str(warning) for warning in response.get("warnings") or ())
        return Verdict(response["allowed"] is True, response.get("status") or {}, operations, warnings)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Unavailable(f"the webhook's answer makes no sense: {error}") from error
