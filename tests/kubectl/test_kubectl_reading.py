"""What kubectl shows of a cluster: lists in all their forms, descriptions, documentation, discovery."""

from __future__ import annotations

from kubectl.kubectl_objects import a_config_map, a_deployment
from kubectl.served_cluster import Kubectl


def test_lists_come_in_every_form_that_kubectl_knows(kubectl: Kubectl) -> None:
    """People read tables, scripts read the rest: both must find what they find on any other cluster."""
    kubectl.apply(a_deployment())
    kubectl("rollout status deployment/web --timeout=30s")

    (pod, _) = kubectl("get pods").rows
    assert list(pod) == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert (pod["READY"], pod["STATUS"], pod["RESTARTS"]) == ("1/1", "Running", "0")
    (wide, _) = kubectl("get pods -o wide").rows
    assert list(wide)[5:] == ["IP", "NODE", "NOMINATED NODE", "READINESS GATES"]
    assert wide["NODE"].endswith(".compute.internal")
    (deployment,) = kubectl("get deployments").rows
    assert (deployment["READY"], deployment["UP-TO-DATE"], deployment["AVAILABLE"]) == ("2/2", "2", "2")

    everything = kubectl("get all").out
    assert "pod/web-" in everything and "deployment.apps/web " in everything and "replicaset.apps/web-" in everything
    assert kubectl("get deployment web -o json").json["spec"]["replicas"] == 2
    assert "  replicas: 2\n" in kubectl("get deployment web -o yaml").out
    assert kubectl("get pods -o", "jsonpath={.items[*].status.phase}").out == "Running Running"
    columns = kubectl("get pods -o", "custom-columns=POD:.metadata.name,IMAGE:.spec.containers[0].image").rows
    assert [row["IMAGE"] for row in columns] == ["nginx:1", "nginx:1"]
    assert kubectl("get pods -l app=web -o name").lines == [f"pod/{row['POD']}" for row in columns]
    assert kubectl("get pods -l app=other").err.startswith("No resources found in")
    assert kubectl("get pods --field-selector=status.phase=Running --no-headers").lines[0].startswith("web-")
    assert len(kubectl("get pods --chunk-size=1").rows) == 2


def test_a_watch_prints_changes_as_they_happen(kubectl: Kubectl) -> None:
    """`-w` is how people wait for things with their own eyes."""
    with kubectl.started("get configmaps -w") as watch:
        assert watch.stdout is not None
        header = watch.stdout.readline()
        kubectl.apply(a_config_map(colour="blue"))
        lines = [watch.stdout.readline() for _ in range(2)]

    assert header.split() == ["NAME", "DATA", "AGE"]
    assert {line.split()[0] for line in lines} == {"kube-root-ca.crt", "settings"}


def test_descriptions_tell_the_story_of_an_object(kubectl: Kubectl) -> None:
    """`describe` joins objects with what they refer to and with their Events: each of these must be found."""
    kubectl.apply(a_deployment())
    kubectl("rollout status deployment/web --timeout=30s")
    node = kubectl("get pods -o", "jsonpath={.items[0].spec.nodeName}").out

    pod = kubectl("describe pod -l app=web").out
    assert "Controlled By:  ReplicaSet/web-" in pod
    assert "QoS Class:                    Burstable" in pod
    assert "Successfully assigned " in pod
    assert 'Container image "nginx:1" already present' in pod or 'Successfully pulled image "nginx:1"' in pod
    assert "Started container web" in pod
    deployment = kubectl("describe deployment web").out
    assert "2 desired | 2 updated | 2 total | 2 available | 0 unavailable" in deployment
    assert "Scaled up replica set web-" in deployment
    machine = kubectl(f"describe node {node}").out
    assert "stratos.sh/pool=workers" in machine and "Allocated resources:" in machine
    assert "KubeletReady" in machine and "Non-terminated Pods:" in machine
    pool = kubectl("describe nodepool workers").out
    assert "Pool Size:                8" in pool and "WarmupCompleted" in pool


def test_events_are_listed_with_what_they_are_about(kubectl: Kubectl) -> None:
    kubectl.apply(a_deployment())
    kubectl("rollout status deployment/web --timeout=30s")

    events = kubectl("get events").rows

    assert list(events[0]) == ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert {"Scheduled", "Pulled", "Started", "SuccessfulCreate", "ScalingReplicaSet"} <= {
        event["REASON"] for event in events
    }
    assert "Scheduled" in kubectl("events --types=Normal").out
    assert len(kubectl("get events --field-selector=reason=ScalingReplicaSet").rows) == 1


def test_kinds_are_explained_field_by_field(admin: Kubectl) -> None:
    """Ours with their descriptions, so that nobody needs the web page; built-in ones with their types."""
    containers = admin("explain pod.spec.containers").out
    assert "FIELD: containers <[]Container>" in containers and "  imagePullPolicy\t<string>" in containers
    prewarm = admin("explain nodepool.spec.preWarm --recursive").out
    assert prewarm.startswith("GROUP:      stratos.sh\nKIND:       NodePool\nVERSION:    v1alpha1\n")
    assert "  timeoutAction\t<string>\n  enum: stop, terminate" in prewarm
    assert "How long preparing one machine may take." in admin("explain nodepool.spec.preWarm.timeout").out
    assert admin("explain pod.nothing", code=1).err == 'error: field "nothing" does not exist\n'


def test_kubectl_finds_out_what_is_served(admin: Kubectl) -> None:
    kinds = {row["NAME"]: row for row in admin("api-resources").rows}
    assert kinds["nodepools"]["SHORTNAMES"] == "np,npool"
    assert kinds["nodepools"]["NAMESPACED"] == "false"
    assert kinds["deployments"]["APIVERSION"] == "apps/v1"
    assert {"apps/v1", "stratos.sh/v1alpha1", "v1"} <= set(admin("api-versions").lines)
    assert "Kubernetes control plane" in admin("cluster-info").out
    assert "Server Version: v1.32" in admin("version").out
    assert admin("get --raw /readyz").out == "ok"
    assert admin("get nodepools").rows[0]["POOLSIZE"] == "8"
    assert "stratos" in admin("config get-contexts").out


def test_what_is_not_there_is_said_in_the_usual_words(kubectl: Kubectl) -> None:
    """Scripts match these sentences."""
    missing = kubectl("get pod nobody", code=1).err
    assert missing == 'Error from server (NotFound): pods "nobody" not found\n'
    assert kubectl("get nodepool none", code=1).err.endswith('nodepools.stratos.sh "none" not found\n')
    assert kubectl("get nonsense", code=1).err == 'error: the server doesn\'t have a resource type "nonsense"\n'
    unknown = kubectl.apply({"apiVersion": "v7", "kind": "Pod", "metadata": {"name": "x"}}, code=1)
    assert 'no matches for kind "Pod" in version "v7"' in unknown.err
