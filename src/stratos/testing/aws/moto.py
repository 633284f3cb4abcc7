"""moto, which keeps what a cloud keeps: machines, images, networks, roles, queues. And how the layer above asks it.

What moto does not know of EC2 (how long things take, what can go wrong, idempotency) is added by `front` and `ec2`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import aiohttp
import msgspec

_SCRIPT = Path(__file__).with_name("moto_process.py")
_JSON_TARGETS = {"sqs": "AmazonSQS", "ssm": "AmazonSSM"}
# It launches anything otherwise, and loads a thousand images of others whenever it is wiped.
_SETTINGS = {
    "MOTO_ENABLE_AMI_VALIDATION": "true",
    "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION": "true",
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
}


class MotoRefused(Exception):
    """moto answered with an error. The answer is what a client is to be told."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"moto answered {status}: {body.decode(errors='replace')[:2000]}")
        self.status = status
        self.body = body


class Moto:
    """Asks moto directly, past everything that can go wrong."""

    def __init__(self, url: str, region: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.region = region
        self._http = http

    async def forward(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any, bytes]:
        """Status, headers and body of the answer to a request that somebody else made."""
        async with self._http.request(method, self.url + path, headers=dict(headers), data=body) as answer:
            return answer.status, answer.headers, await answer.read()

    async def ec2(self, action: str, parameters: Mapping[str, str]) -> ElementTree.Element:
        return await self._form("ec2", "2016-11-15", action, parameters)

    async def iam(self, action: str, parameters: Mapping[str, str]) -> ElementTree.Element:
        return await self._form("iam", "2010-05-08", action, parameters)

    async def json(self, service: str, action: str, parameters: Mapping[str, Any]) -> Any:
        headers = {
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": f"{_JSON_TARGETS[service]}.{action}",
        }
        return msgspec.json.decode(await self._send("POST", "/", service, headers, msgspec.json.encode(parameters)))

    async def rest(self, service: str, method: str, path: str, document: Mapping[str, Any]) -> Any:
        headers = {"content-type": "application/json"}
        return msgspec.json.decode(await self._send(method, path, service, headers, msgspec.json.encode(document)))

    async def reset(self) -> None:
        """Forget everything."""
        await self._send("POST", "/moto-api/reset", "ec2", {}, b"")

    async def _form(
        self, service: str, version: str, action: str, parameters: Mapping[str, str]
    ) -> ElementTree.Element:
        form = aiohttp.FormData({"Action": action, "Version": version, **parameters})
        return ElementTree.fromstring(await self._send("POST", "/", service, {}, form))

    async def _send(self, method: str, path: str, service: str, headers: Mapping[str, str], body: Any) -> bytes:
        # moto reads service and region off the signature's scope and does not check the signature.
        scope = f"loopback/20260101/{self.region}/{service}/aws4_request"
        signed = {**headers, "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
        async with self._http.request(method, self.url + path, headers=signed, data=body) as answer:
            content = await answer.read()
            if answer.status >= 300:
                raise MotoRefused(answer.status, content)
            return content


@contextmanager
def moto_process() -> Iterator[str]:
    """The URL of a moto server that runs for the length of the block."""
    command = (sys.executable, "-I", str(_SCRIPT))
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **_SETTINGS}
    ) as process:
        assert process.stdout is not None
        try:
            port = process.stdout.readline().strip()
            assert port, "moto ended before it listened"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()  # it keeps nothing, and takes half a second to say goodbye
