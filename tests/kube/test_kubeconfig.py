"""The first thing a new user meets: a kubeconfig must be understood as kubectl does, or its fault be named."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from stratos.base.errors import Invalid, NotFound
from stratos.kube.kubeconfig import find_access, in_cluster_access, load_kubeconfig


def a_kubeconfig(**changes: Any) -> dict[str, Any]:
    return {
        "current-context": "home",
        "contexts": [
            {"name": "home", "context": {"cluster": "house", "user": "me", "namespace": "garden"}},
            {"name": "work", "context": {"cluster": "office", "user": "me"}},
        ],
        "clusters": [
            {"name": "house", "cluster": {"server": "https://127.0.0.1:6443/"}},
            {"name": "office", "cluster": {"server": "https://example.com", "insecure-skip-tls-verify": True}},
        ],
        "users": [{"name": "me", "user": {"token": "secret"}}],
        **changes,
    }


def written(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_the_current_context_is_used_unless_another_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "config", a_kubeconfig())

    home = load_kubeconfig([path])
    work = load_kubeconfig([path], context="work")

    assert (home.server, home.namespace, home.token, home.verify) == (
        "https://127.0.0.1:6443",
        "garden",
        "secret",
        True,
    )
    assert (work.server, work.namespace, work.verify) == ("https://example.com", "default", False)


def test_of_several_files_the_first_to_name_something_wins(tmp_path: Path) -> None:
    first = written(tmp_path / "a", {"users": [{"name": "me", "user": {"token": "from-a"}}]})
    second = written(tmp_path / "b", a_kubeconfig())

    access = find_access({"KUBECONFIG": f"{first}:{tmp_path / 'missing'}:{second}"})

    assert (access.server, access.token) == ("https://127.0.0.1:6443", "from-a")


def test_certificates_come_in_place_or_from_files_beside_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "me.key").write_bytes(b"KEY")
    user = {
        "client-certificate-data": base64.b64encode(b"CERT").decode(),
        "client-key": "pki/me.key",
        "tokenFile": "pki/token",
    }
    path = written(tmp_path / "config", a_kubeconfig(users=[{"name": "me", "user": user}]))

    access = load_kubeconfig([path])

    assert (access.client_certificate, access.client_key) == (b"CERT", b"KEY")
    assert access.token_file == tmp_path / "pki" / "token"


def test_an_exec_plugin_is_read(tmp_path: Path) -> None:
    spec = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "./login",
        "args": ["--quiet"],
        "env": [{"name": "A", "value": "1"}],
        "provideClusterInfo": True,
    }
    path = written(tmp_path / "config", a_kubeconfig(users=[{"name": "me", "user": {"exec": spec}}]))

    plugin = load_kubeconfig([path]).exec

    assert plugin is not None
    assert (plugin.command, plugin.args, plugin.env) == (str(tmp_path / "login"), ("--quiet",), {"A": "1"})
    assert plugin.provide_cluster_info


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("a: [", "is not YAML"),
        ("[]", "should be a map"),
        (a_kubeconfig(**{"current-context": ""}), "names no current-context"),
        (a_kubeconfig(**{"current-context": "moon"}), "no context 'moon'"),
        (a_kubeconfig(clusters=[]), "no cluster 'house'"),
        (a_kubeconfig(users=[]), "no user 'me'"),
        (a_kubeconfig(clusters=[{"name": "house", "cluster": {}}]), "server is missing"),
        (a_kubeconfig(clusters=["house"]), "should be a list of maps"),
        (a_kubeconfig(users=[{"name": "me", "user": {"token": 7}}]), "token is not text"),
        (a_kubeconfig(users=[{"name": "me", "user": {"client-key-data": "%%"}}]), "client-key-data is not base64"),
        (
            a_kubeconfig(users=[{"name": "me", "user": {"client-key": "gone.pem"}}]),
            r"cannot read client-key .*gone\.pem",
        ),
        (a_kubeconfig(users=[{"name": "me", "user": {"auth-provider": {"name": "x"}}}]), "auth-provider"),
        (a_kubeconfig(users=[{"name": "me", "user": {"exec": {"apiVersion": "v1"}}}]), "command is missing"),
    ],
)
def test_a_broken_kubeconfig_is_told_what_is_wrong_with_it(tmp_path: Path, content: Any, complaint: str) -> None:
    path = written(tmp_path / "config", content)
    with pytest.raises((Invalid, NotFound), match=complaint) as refused:
        load_kubeconfig([path])
    assert str(tmp_path) in refused.value.explain()


def test_kubectls_places_are_searched_in_order(tmp_path: Path) -> None:
    written(tmp_path / ".kube" / "config", a_kubeconfig())
    assert find_access({"HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": "10.0.0.1"}).token == "secret"
    with pytest.raises(NotFound, match="no Kubernetes cluster is configured") as nowhere:
        find_access({"HOME": str(tmp_path / "nobody")})
    assert nowhere.value.hint is not None


def test_a_pod_uses_its_service_account(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("CA")
    (tmp_path / "namespace").write_text("stratos\n")
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}

    access = in_cluster_access(environ, account=tmp_path)

    assert (access.server, access.namespace) == ("https://[fd00::1]:6443", "stratos")
    assert (access.ca, access.token_file) == (b"CA", tmp_path / "token")
