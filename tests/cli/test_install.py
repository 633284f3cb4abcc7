"""Stratos on a cluster that is there already: installed, upgraded, taken off again, and what is refused on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl.served_cluster import KUBECTL
from stratos.apis.customresourcedefinition import CUSTOM_RESOURCE_DEFINITION
from stratos.apis.deployment import DEPLOYMENT
from stratos.apis.nodeclaim import NODE_CLAIM
from stratos.apis.nodepool import NODE_POOL
from stratos.apis.nodetemplate import NODE_TEMPLATE, NodeTemplate
from stratos.base.errors import Conflict, Invalid, NotReady
from stratos.cli.install.install import InstallOptions, partition_of, run_install
from stratos.cli.install.uninstall import UninstallOptions, uninstall
from stratos.cli.install.values import read_values
from stratos.kube.client import Client
from stratos.wiring.installation import Values
from wiring.bare_cluster import BareCluster, bare_cluster

NAMED = "clusterName=production"
DEPLOYMENT_KEY = "stratos-system/stratos-controller"


def options(*settings: str, kubeconfig: Path | None = None, **more: Any) -> InstallOptions:
    usual: dict[str, Any] = {"dry_run": False, "print_iam_policy": False, "wait": False, "timeout": "1s", "values": []}
    return InstallOptions(settings=settings or (NAMED,), kubeconfig=kubeconfig, **{**usual, **more})


def removal(**more: bool) -> UninstallOptions:
    flags = {"force": False, "delete_machines": False, "delete_crds": False, **more}
    return UninstallOptions(kubeconfig=None, webhook_config_prefix="", timeout="10m", **flags)


@asynccontextmanager
async def installed(directory: Path, *settings: str) -> AsyncIterator[BareCluster]:
    async with bare_cluster(directory) as cluster:
        await asyncio.to_thread(run_install, options(*settings, kubeconfig=cluster.kubeconfig("admin")))
        yield cluster


async def add_claim(admin: Client) -> None:
    reference = {"kind": "AWSNodeClass", "name": "general"}
    spec = {"pool": "ci", "wanted": "standby", "nodeClassRef": reference}
    await admin.create(NODE_CLAIM, {"metadata": {"name": "ci-1"}, "spec": spec})
    status = {"instanceID": "i-0abc", "instanceType": "m5.large", "state": "standby"}
    await admin.patch(NODE_CLAIM, "ci-1", {"status": status}, subresource="status")


# Installing


def test_an_installation_is_complete_and_may_be_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second run is an upgrade in which nothing is new: it must not make anything anew."""

    async def story() -> tuple[str, str]:
        async with installed(tmp_path) as cluster:
            first = await cluster.admin.get(DEPLOYMENT, DEPLOYMENT_KEY)
            await asyncio.to_thread(run_install, options(kubeconfig=cluster.kubeconfig("admin")))
            again = await cluster.admin.get(DEPLOYMENT, DEPLOYMENT_KEY)
            return first.metadata.uid, again.metadata.uid

    first, again = asyncio.run(story())

    assert first == again
    assert "deployment/stratos-controller applied" in capsys.readouterr().out


def test_an_installation_that_does_not_come_up_says_what_is_missing(tmp_path: Path) -> None:
    """This cluster has no node: the pods wait, and the command must not say that all is well."""

    async def story() -> None:
        async with bare_cluster(tmp_path) as cluster:
            waiting = options(NAMED, kubeconfig=cluster.kubeconfig("admin"), wait=True)
            with pytest.raises(NotReady, match="not there after 1s") as refused:
                await asyncio.to_thread(run_install, waiting)
            assert refused.value.looked_at == (f"deployment {DEPLOYMENT_KEY}: 0 of 1 pods are available",)

    asyncio.run(story())


def test_a_kind_that_the_cluster_lacks_is_told_and_the_rest_is_applied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ServiceMonitor needs the Prometheus operator; without it Stratos can run all the same."""

    async def story() -> None:
        async with bare_cluster(tmp_path) as cluster:
            wanted = options(NAMED, "serviceMonitor.enabled=true", kubeconfig=cluster.kubeconfig("admin"))
            with pytest.raises(NotReady, match="2 of 20 objects were refused"):
                await asyncio.to_thread(run_install, wanted)
            await cluster.admin.get(DEPLOYMENT, DEPLOYMENT_KEY)

    asyncio.run(story())

    assert "serves no ServiceMonitor" in capsys.readouterr().err


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on the PATH")
def test_the_printed_manifests_are_accepted_by_kubectl_on_the_servers_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For those who keep their manifests in Git, and let something else apply them."""
    run_install(
        options(NAMED, "doorman.enabled=true", "agent.enabled=true", "networkPolicy.enabled=true", dry_run=True)
    )
    printed = capsys.readouterr().out

    async def story() -> str:
        async with bare_cluster(tmp_path) as cluster:
            process = await asyncio.create_subprocess_exec(
                str(KUBECTL),
                *("--kubeconfig", str(cluster.kubeconfig("admin")), "apply", "--server-side", "-f", "-"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={"HOME": str(tmp_path)},
            )
            said, _ = await process.communicate(printed.encode())
            assert process.returncode == 0, said.decode()
            return said.decode()

    said = asyncio.run(story())

    assert len(said.splitlines()) == len(list(yaml.safe_load_all(printed)))
    assert "deployment.apps/stratos-controller serverside-applied" in said


def test_lunas_options_become_a_template_that_decides_alike(tmp_path: Path) -> None:
    """Whoever comes from Luna brings a configuration along, and pods that bear its label."""
    settings = (
        "luna.enabled=true",
        "luna.binPackingNodeCpu=8",
        "luna.nodeTTL=168h",
        "luna.scaleDown.nodeUnneededDuration=7m",
    )

    async def story() -> NodeTemplate:
        async with installed(tmp_path, NAMED, *settings) as cluster:
            return await cluster.admin.get(NODE_TEMPLATE, "luna")

    spec = asyncio.run(story()).spec

    assert (spec.strategy, spec.pods.labels) == ("thresholds", {"elotl-luna": "true"})
    assert (spec.bin_packing.node_cpu, spec.bin_packing.node_memory) == ("8", "8Gi")
    assert (spec.disruption.node_ttl, spec.disruption.node_unneeded_duration) == ("168h", "7m")


# Upgrading


def test_what_an_older_version_stored_is_stored_in_the_present_form_afterwards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Objects stay as they were written until somebody writes them: one day nobody would understand them any more."""

    async def story() -> dict[str, Any]:
        async with installed(tmp_path) as cluster:
            admin = cluster.admin
            name = "nodepools.stratos.sh"
            definition = await admin.get_raw(CUSTOM_RESOURCE_DEFINITION, name)
            older = yaml.safe_load(yaml.safe_dump(definition))
            spec = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
            del spec["maxNodeRuntime"], spec["reconciliationInterval"]["default"]
            del older["metadata"]["managedFields"]
            await admin.update(CUSTOM_RESOURCE_DEFINITION, older)
            template = {"nodeClassRef": {"kind": "AWSNodeClass", "name": "general"}}
            pool = {"poolSize": 2, "minStandby": 1, "template": template, "preWarm": {"imagesToPull": ["app:1"]}}
            await admin.create(NODE_POOL, {"metadata": {"name": "ci"}, "spec": pool})
            await admin.patch(
                CUSTOM_RESOURCE_DEFINITION, name, {"status": {"storedVersions": ["v1alpha1"]}}, subresource="status"
            )
            capsys.readouterr()
            await asyncio.to_thread(run_install, options(kubeconfig=cluster.kubeconfig("admin")))
            upgraded: dict[str, Any] = (await admin.get_raw(NODE_POOL, "ci"))["spec"]
            return upgraded

    spec = asyncio.run(story())

    assert "NodePool: 1 stored in the present form" in capsys.readouterr().out
    assert spec["reconciliationInterval"] == "30s"
    assert spec["preWarm"]["images"] == ["app:1"]
    assert "imagesToPull" not in spec["preWarm"]


# Uninstalling


def test_machines_are_not_left_behind_unless_somebody_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They go on costing money, and nothing knows of them any more."""

    async def story() -> None:
        async with installed(tmp_path) as cluster:
            await add_claim(cluster.admin)
            with pytest.raises(Conflict, match="1 machine would be left behind") as refused:
                await uninstall(cluster.admin, removal())
            assert refused.value.looked_at == ("NodePool ci: i-0abc m5.large standby",)
            await cluster.admin.get(DEPLOYMENT, DEPLOYMENT_KEY)
            with pytest.raises(Conflict, match="the kinds are needed"):
                await uninstall(cluster.admin, removal(force=True, delete_crds=True))
            capsys.readouterr()
            await uninstall(cluster.admin, removal(force=True))
            assert [claim.metadata.name for claim in (await cluster.admin.list(NODE_CLAIM)).items] == ["ci-1"]

    asyncio.run(story())

    out = capsys.readouterr().out
    assert "deployment/stratos-controller deleted" in out
    assert "left running, which nobody looks after:\n  NodePool ci: i-0abc m5.large standby" in out


def test_machines_that_do_not_go_are_told_with_what_keeps_them(tmp_path: Path) -> None:
    """A budget without room may hold a drain for hours, and the controllers are not to blame."""
    drained = {"type": "Drained", "status": "False", "reason": "Draining", "message": "still to leave: 1 pod"}

    async def story() -> tuple[str, ...]:
        async with installed(tmp_path) as cluster:
            await add_claim(cluster.admin)
            status = {"state": "terminating", "conditions": [drained | {"lastTransitionTime": "2026-01-01T00:00:00Z"}]}
            await cluster.admin.patch(NODE_CLAIM, "ci-1", {"status": status}, subresource="status")
            with pytest.raises(NotReady) as late:
                await uninstall(cluster.admin, replace(removal(delete_machines=True), timeout="100ms"))
            return late.value.looked_at

    assert asyncio.run(story()) == ("NodePool ci: i-0abc m5.large terminating, still to leave: 1 pod",)


def test_without_machines_everything_goes_but_the_kinds(tmp_path: Path) -> None:
    """Pools and templates are the user's own: the next installation finds them."""

    async def story() -> tuple[int, int]:
        async with installed(tmp_path) as cluster:
            template = {"nodeClassRef": {"kind": "AWSNodeClass", "name": "general"}}
            spec = {"poolSize": 2, "minStandby": 0, "template": template}
            await cluster.admin.create(NODE_POOL, {"metadata": {"name": "ci"}, "spec": spec})
            await uninstall(cluster.admin, removal())
            deployments = (await cluster.admin.list(DEPLOYMENT)).items
            return len(deployments), len((await cluster.admin.list(NODE_POOL)).items)

    assert asyncio.run(story()) == (0, 1)


# Values


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (("region=eu-west-1",), "clusterName is not set"),
        ((NAMED, "clusterNme=x"), "there is no value clusterNme"),
        ((NAMED, "doorman.replicas=2"), "there is no value doorman.replicas"),
        ((NAMED, "replicaCount=many"), "value replicaCount: expected"),
        ((NAMED, "cloudProvider=azure"), "value cloudProvider: invalid"),
        ((NAMED, "syncPeriod=often"), "value syncPeriod: expected"),
        (("clusterName=Prod!",), "clusterName: 'Prod!' is no name"),
        ((NAMED, "tolerations=[{"), "is not YAML"),
        ((NAMED, "replicaCount"), "has no value"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(settings: tuple[str, ...], complaint: str) -> None:
    """A value that is skipped in silence is found months later."""
    with pytest.raises(Invalid, match=complaint.replace(".", r"\.")):
        read_values([], settings, create_namespace=True)


def test_later_values_win_and_maps_are_merged(tmp_path: Path) -> None:
    """As Helm has it: people bring their files along."""
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("clusterName: one\nresources: {limits: {cpu: '2'}}\nluna: {labels: {team: a}}\n")
    second.write_text("clusterName: two\nluna: {labels: {elotl-luna: null}}\n")

    values = read_values([first, second], ["replicaCount=3"], create_namespace=True)

    assert (values.cluster_name, values.replica_count) == ("two", 3)
    assert values.resources["limits"] == {"cpu": "2", "memory": "1Gi"}
    assert values.luna.labels == {"team": "a"}
    assert values.namespace.create
    assert not Values().namespace.create


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("", "aws")],
)
def test_the_printed_policy_names_resources_of_the_right_part_of_aws(region: str, partition: str) -> None:
    """A policy with names of another part grants nothing, and nobody says so."""
    assert partition_of(region) == partition


def test_the_iam_policy_is_that_of_the_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    """Its conditions name the cluster: it must not reach the machines of another."""
    run_install(options(NAMED, print_iam_policy=True))

    policy = yaml.safe_load(capsys.readouterr().out)

    assert {"Version", "Statement"} <= set(policy)
    assert "production" in str(policy)
