"""What a request carries to prove who sends it, kept fresh: tokens that rotate and programs that print them."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from stratos.apis.meta import Struct
from stratos.base.clock import Clock
from stratos.base.errors import Invalid, Unauthorized
from stratos.kube.codec import decode, encode
from stratos.kube.kubeconfig import ClusterAccess, ExecPlugin

_TOKEN_FILE_SECONDS = 60.0  # rotated tokens overlap by much longer
_EXPIRY_MARGIN = timedelta(seconds=30)
_PLUGIN_TIMEOUT_SECONDS = 60.0


class Credentials(Protocol):
    async def headers(self) -> Mapping[str, str]:
        """The headers to send now."""
        ...

    def reject(self) -> None:
        """The server did not believe the last ones: do not send the same again without a new look."""
        ...


class FixedCredentials:
    """A token or a password that never changes, or nothing: then a client certificate speaks for us."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    async def headers(self) -> Mapping[str, str]:
        return self._headers

    def reject(self) -> None:
        """There is nothing else to send."""


class TokenFile:
    """A token in a file that is replaced from time to time, as a pod's is."""

    def __init__(self, path: Path, *, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._token = ""
        self._read_at: float | None = None

    async def headers(self) -> Mapping[str, str]:
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at > _TOKEN_FILE_SECONDS:
            try:
                self._token = self._path.read_text().strip()
            except OSError as error:
                raise Unauthorized(f"cannot read the token file {self._path}: {error.strerror}") from error
            self._read_at = now
        return {"authorization": f"Bearer {self._token}"}

    def reject(self) -> None:
        self._read_at = None


class ExecCredentialStatus(Struct):
    token: str = ""
    expiration_timestamp: datetime | None = None
    client_certificate_data: str = ""


class ExecCredential(Struct):
    """What a plugin prints."""

    status: ExecCredentialStatus = ExecCredentialStatus()


class ExecCredentials:
    """A token printed by a program, which is run again when the token expires or is rejected."""

    def __init__(self, plugin: ExecPlugin, access: ClusterAccess, *, clock: Clock) -> None:
        self._plugin = plugin
        self._access = access
        self._clock = clock
        self._printed: ExecCredentialStatus | None = None
        self._one_at_a_time = asyncio.Lock()

    async def headers(self) -> Mapping[str, str]:
        async with self._one_at_a_time:
            if self._printed is None or self._expired(self._printed):
                self._printed = await self._run()
            return {"authorization": f"Bearer {self._printed.token}"}

    def reject(self) -> None:
        self._printed = None

    def _expired(self, printed: ExecCredentialStatus) -> bool:
        expiry = printed.expiration_timestamp
        return expiry is not None and self._clock.now() >= expiry - _EXPIRY_MARGIN

    async def _run(self) -> ExecCredentialStatus:
        plugin = self._plugin
        env = {**os.environ, **plugin.env, "KUBERNETES_EXEC_INFO": encode(self._exec_info()).decode()}
        try:
            process = await asyncio.create_subprocess_exec(
                plugin.command,
                *plugin.args,
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise Unauthorized(
                f"cannot run the credential plugin {plugin.command}: {error.strerror}", hint=plugin.install_hint or None
            ) from error
        try:
            async with asyncio.timeout(_PLUGIN_TIMEOUT_SECONDS):
                output, complaint = await process.communicate()
        except BaseException:
            process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            raise Unauthorized(
                f"the credential plugin {plugin.command} failed with status {process.returncode}",
                looked_at=tuple(complaint.decode(errors="replace").splitlines()[-5:]),
            )
        return self._judge(output)

    def _judge(self, output: bytes) -> ExecCredentialStatus:
        try:
            printed = decode(ExecCredential, output).status
        except Invalid as error:
            raise Unauthorized(f"the credential plugin {self._plugin.command} printed no ExecCredential") from error
        if not printed.token:
            certificate = "a client certificate, which is not supported" if printed.client_certificate_data else "none"
            raise Unauthorized(f"the credential plugin {self._plugin.command} should print a token, not {certificate}")
        return printed

    def _exec_info(self) -> dict[str, object]:
        spec: dict[str, object] = {"interactive": False}
        if self._plugin.provide_cluster_info:
            cluster: dict[str, object] = {"server": self._access.server}
            if self._access.ca:
                cluster["certificate-authority-data"] = base64.b64encode(self._access.ca).decode()
            if not self._access.verify:
                cluster["insecure-skip-tls-verify"] = True
            spec["cluster"] = cluster
        return {"apiVersion": self._plugin.api_version, "kind": "ExecCredential", "spec": spec}


def credentials_for(access: ClusterAccess, *, clock: Clock) -> Credentials:
    """In kubectl's order: a token before a token file, a plugin, a password, a certificate alone."""
    if access.token:
        return FixedCredentials({"authorization": f"Bearer {access.token}"})
    if access.token_file:
        return TokenFile(access.token_file, clock=clock)
    if access.exec:
        return ExecCredentials(access.exec, access, clock=clock)
    if access.username:
        pair = base64.b64encode(f"{access.username}:{access.password}".encode()).decode()
        return FixedCredentials({"authorization": f"Basic {pair}"})
    return FixedCredentials({})
