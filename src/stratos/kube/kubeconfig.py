"""Where the API server is and who we are there: read from kubeconfig files, or from the pod we run in.

This module only reads and explains; `stratos.kube.http` connects.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stratos.base.errors import Invalid, NotFound

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class ExecPlugin:
    """A program that prints credentials."""

    command: str
    args: tuple[str, ...]
    env: Mapping[str, str]
    api_version: str
    provide_cluster_info: bool
    install_hint: str


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """Everything needed to connect as somebody. PEM material is held as bytes, whatever form it was given in."""

    server: str
    namespace: str = "default"
    ca: bytes | None = None
    verify: bool = True
    tls_server_name: str | None = None
    proxy_url: str | None = None
    token: str | None = None
    token_file: Path | None = None
    username: str | None = None
    password: str = ""
    client_certificate: bytes | None = None
    client_key: bytes | None = None
    exec: ExecPlugin | None = None


def find_access(environ: Mapping[str, str], *, context: str | None = None) -> ClusterAccess:
    """What kubectl would use: ``KUBECONFIG``, else ``~/.kube/config``, else the service account of this pod."""
    if configured := environ.get("KUBECONFIG"):
        return load_kubeconfig([Path(part) for part in configured.split(os.pathsep) if part], context=context)
    default = Path(environ.get("HOME", "/")) / ".kube" / "config"
    if default.exists():
        return load_kubeconfig([default], context=context)
    if "KUBERNETES_SERVICE_HOST" in environ:
        return in_cluster_access(environ)
    raise NotFound(
        "no Kubernetes cluster is configured",
        looked_at=("KUBECONFIG is not set", f"{default} does not exist", "this is not a pod of a cluster"),
        hint="set KUBECONFIG to the path of a kubeconfig file",
    )


def in_cluster_access(environ: Mapping[str, str], *, account: Path = SERVICE_ACCOUNT) -> ClusterAccess:
    """The service account that every pod is given. Its token file is read anew now and then, as it is rotated."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise NotFound("this is not a pod of a cluster", looked_at=("KUBERNETES_SERVICE_HOST is not set",))
    namespace = account / "namespace"
    return ClusterAccess(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        ca=_read(account / "ca.crt", "the service account's ca.crt"),
        token_file=account / "token",
    )


def load_kubeconfig(paths: Sequence[Path], *, context: str | None = None) -> ClusterAccess:
    """The access that ``context``, or the current context, names. Of several files the first to say something wins."""
    existing = [path for path in paths if path.exists()]
    if not existing:
        raise NotFound("no kubeconfig file", looked_at=tuple(f"{path} does not exist" for path in paths))
    merged = _Merged([_File.parse(path) for path in existing])
    name = context or merged.current_context
    if not name:
        raise Invalid(
            f"{existing[0]} names no current-context",
            looked_at=(f"contexts: {', '.join(merged.names('contexts')) or 'none'}",),
            hint="choose one with --context",
        )
    chosen = merged.entry("contexts", name)
    cluster = merged.entry("clusters", chosen.text("cluster"))
    user_name = chosen.text("user", required=False)
    user = merged.entry("users", user_name) if user_name else _Entry(chosen.file, "users", "", {})
    if user.body.get("auth-provider"):
        raise Invalid(f"{user} uses auth-provider, which Kubernetes has removed", hint="use an exec plugin instead")
    return ClusterAccess(
        server=cluster.text("server").rstrip("/"),
        namespace=chosen.text("namespace", required=False) or "default",
        ca=cluster.pem("certificate-authority"),
        verify=not cluster.body.get("insecure-skip-tls-verify", False),
        tls_server_name=cluster.text("tls-server-name", required=False) or None,
        proxy_url=cluster.text("proxy-url", required=False) or None,
        token=user.text("token", required=False) or None,
        token_file=user.path("tokenFile"),
        username=user.text("username", required=False) or None,
        password=user.text("password", required=False),
        client_certificate=user.pem("client-certificate"),
        client_key=user.pem("client-key"),
        exec=user.exec_plugin(),
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    """One named cluster, user or context."""

    file: Path
    section: str
    name: str
    body: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.section.removesuffix('s')} {self.name!r} of {self.file}"

    def text(self, field: str, *, required: bool = True) -> str:
        value = self.body.get(field) or ""
        if not isinstance(value, str) or (required and not value):
            raise Invalid(f"{self}: {field} {'is missing' if not value else 'is not text'}")
        return value

    def path(self, field: str) -> Path | None:
        """A file, named relative to the kubeconfig."""
        value = self.text(field, required=False)
        return self.file.parent / Path(value).expanduser() if value else None

    def pem(self, field: str) -> bytes | None:
        """Certificates and keys, given in place as ``field-data`` or as a file."""
        if data := self.text(f"{field}-data", required=False):
            try:
                return base64.b64decode(data, validate=True)
            except binascii.Error as error:
                raise Invalid(f"{self}: {field}-data is not base64") from error
        path = self.path(field)
        return _read(path, f"{field} of {self}") if path else None

    def exec_plugin(self) -> ExecPlugin | None:
        spec = self.body.get("exec")
        if spec is None:
            return None
        if not isinstance(spec, dict):
            raise Invalid(f"{self}: exec is not a map")
        plugin = _Entry(self.file, f"exec plugin of {self.section}", self.name, spec)
        command = plugin.text("command")
        if "/" in command:
            command = str(self.file.parent / command)
        return ExecPlugin(
            command=command,
            args=tuple(str(arg) for arg in spec.get("args") or ()),
            env={str(item["name"]): str(item["value"]) for item in spec.get("env") or ()},
            api_version=plugin.text("apiVersion"),
            provide_cluster_info=bool(spec.get("provideClusterInfo", False)),
            install_hint=plugin.text("installHint", required=False),
        )


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    body: Mapping[str, Any]

    @classmethod
    def parse(cls, path: Path) -> _File:
        try:
            body = yaml.safe_load(_read(path, "the kubeconfig"))
        except yaml.YAMLError as error:
            raise Invalid(f"{path} is not YAML: {error}") from error
        if not isinstance(body, dict | None):
            raise Invalid(f"{path} is not a kubeconfig: it should be a map")
        return cls(path, body or {})

    def entries(self, section: str) -> dict[str, _Entry]:
        """The section's entries by name."""
        field = section.removesuffix("s")
        entries: dict[str, _Entry] = {}
        for item in self.body.get(section) or ():
            if not isinstance(item, dict) or not isinstance(item.get(field), dict) or "name" not in item:
                raise Invalid(f"{self.path}: {section} should be a list of maps with name and {field}")
            entries.setdefault(item["name"], _Entry(self.path, section, item["name"], item[field]))
        return entries


@dataclass(frozen=True, slots=True)
class _Merged:
    files: Sequence[_File]

    @property
    def current_context(self) -> str:
        return next((str(name) for file in self.files if (name := file.body.get("current-context"))), "")

    def names(self, section: str) -> list[str]:
        return sorted({name for file in self.files for name in file.entries(section)})

    def entry(self, section: str, name: str) -> _Entry:
        for file in self.files:
            if entry := file.entries(section).get(name):
                return entry
        raise NotFound(
            f"the kubeconfig has no {section.removesuffix('s')} {name!r}",
            looked_at=(
                *(str(file.path) for file in self.files),
                f"{section}: {', '.join(self.names(section)) or 'none'}",
            ),
        )


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(f"cannot read {what}: {path}: {error.strerror}") from error
