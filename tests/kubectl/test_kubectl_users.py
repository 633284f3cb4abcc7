"""Who may do what: the administrator, a service account with one small role, strangers."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubectl.kubectl_objects import a_deployment
from kubectl.served_cluster import Kubectl


@pytest.fixture
def limited(kubectl: Kubectl, tmp_path: Path) -> Kubectl:
    """A service account that may read pods and their logs in its namespace, and change nothing."""
    kubectl("create serviceaccount bot")
    kubectl("create role reader --verb=get,list,watch --resource=pods,pods/log")
    kubectl(f"create rolebinding reader --role=reader --serviceaccount={kubectl.namespace}:bot")
    token = kubectl("create token bot --duration=1h").out
    config = tmp_path / "kubeconfig"
    config.write_bytes(kubectl.config.read_bytes())
    bot = Kubectl(config, tmp_path, kubectl.namespace)
    bot(f"config set-credentials bot --token={token}")
    bot("config set-context --current --user=bot")
    return bot


def test_everybody_can_ask_who_they_are(kubectl: Kubectl, limited: Kubectl) -> None:
    me = kubectl("auth whoami").out
    assert "stratos-admin" in me and "system:masters" in me
    bot = limited("auth whoami").out
    assert f"system:serviceaccount:{kubectl.namespace}:bot" in bot
    assert f"[system:serviceaccounts system:serviceaccounts:{kubectl.namespace} system:authenticated]" in bot


def test_rights_are_listed_before_they_are_missed(kubectl: Kubectl, limited: Kubectl) -> None:
    assert kubectl("auth can-i --list").rows[0]["Resources"] == "*.*"
    assert kubectl("auth can-i delete nodepools").out == "yes\n"
    assert limited("auth can-i list pods").out == "yes\n"
    assert limited("auth can-i get pods/log").out == "yes\n"
    assert limited("auth can-i delete pods", code=1).out == "no\n"
    assert limited("auth can-i list pods -n default", code=1).out == "no\n"
    rights = {row["Resources"]: row["Verbs"] for row in limited("auth can-i --list").rows}
    assert rights["pods"] == "[get list watch]"
    as_bot = f"--as=system:serviceaccount:{kubectl.namespace}:bot"
    assert kubectl(f"auth can-i create deployments {as_bot}", code=1).out == "no\n"


def test_a_limited_user_is_refused_with_the_right_that_is_missing(kubectl: Kubectl, limited: Kubectl) -> None:
    """The refusal is what people paste to their administrator: it must name user, verb, resource and place."""
    kubectl.apply(a_deployment(replicas=1))
    kubectl("rollout status deployment/web --timeout=30s")
    user = f'User "system:serviceaccount:{kubectl.namespace}:bot"'
    here = f'in the namespace "{kubectl.namespace}"'
    (pod,) = [row["NAME"] for row in limited("get pods").rows]

    assert limited(f"logs {pod}").out == "hello\n"
    assert limited(f"delete pod {pod}", code=1).err == (
        f'Error from server (Forbidden): pods "{pod}" is forbidden: {user} cannot delete resource "pods" '
        f'in API group "" {here}\n'
    )
    assert f'{user} cannot create resource "configmaps" in API group "" {here}' in (
        limited("create configmap x", code=1).err
    )
    nodes = limited("get nodes", code=1).err
    assert f'{user} cannot list resource "nodes" in API group "" at the cluster scope' in nodes
    assert f'{user} cannot list resource "secrets" in API group "" {here}' in limited("get secrets", code=1).err
    scale = limited("scale deployment web --replicas=9", code=1).err
    assert f'{user} cannot get resource "deployments" in API group "apps" {here}' in scale
    more = limited("create rolebinding more --clusterrole=cluster-admin --user=x", code=1).err
    assert f'{user} cannot create resource "rolebindings"' in more


def test_nobody_can_grant_what_they_do_not_have(kubectl: Kubectl, limited: Kubectl) -> None:
    """A right to write roles would otherwise be the right to everything."""
    kubectl("create role granting --verb=create --resource=roles,rolebindings")
    kubectl(f"create rolebinding granting --role=granting --serviceaccount={kubectl.namespace}:bot")

    refused = limited("create role all --verb=* --resource=secrets", code=1).err

    assert "attempting to grant RBAC permissions not currently held" in refused
    assert limited("create role less --verb=get --resource=pods").out.endswith("/less created\n")


def test_strangers_and_bad_tokens_are_told_to_log_in(kubectl: Kubectl, limited: Kubectl) -> None:
    limited("config set-credentials bot --token=nonsense")

    assert "error: You must be logged in to the server" in limited("get pods", code=1).err


def test_a_token_dies_with_its_service_account(kubectl: Kubectl, limited: Kubectl) -> None:
    kubectl("delete serviceaccount bot")

    assert "error: You must be logged in to the server" in limited("get pods", code=1).err
