"""Workloads and machines run through kubectl: rollouts, scaling, logs, waiting, draining."""

from __future__ import annotations

from kubectl.kubectl_objects import a_deployment
from kubectl.served_cluster import Kubectl


def test_a_deployment_rolls_out_back_and_again(kubectl: Kubectl) -> None:
    """The life of a release: watched while it rolls, looked up in the history, undone, restarted."""
    kubectl.apply(a_deployment())
    first = kubectl("rollout status deployment/web --timeout=30s")
    assert first.lines[-1] == 'deployment "web" successfully rolled out'

    assert kubectl("set image deployment/web web=nginx:2").out == "deployment.apps/web image updated\n"
    kubectl("annotate deployment web kubernetes.io/change-cause=second")
    second = kubectl("rollout status deployment/web --timeout=30s").out
    assert "Waiting for deployment" in second
    assert kubectl("get pods -l app=web -o", "jsonpath={.items[*].spec.containers[0].image}").out == "nginx:2 nginx:2"
    history = kubectl("rollout history deployment/web").lines
    assert history[0] == "deployment.apps/web "
    assert [line.split() for line in history[1:4]] == [["REVISION", "CHANGE-CAUSE"], ["1", "<none>"], ["2", "second"]]
    assert "Image:\tnginx:1" in kubectl("rollout history deployment/web --revision=1").out

    assert kubectl("rollout undo deployment/web").out == "deployment.apps/web rolled back\n"
    kubectl("rollout status deployment/web --timeout=30s")
    assert kubectl("get deployment web -o wide").rows[0]["IMAGES"] == "nginx:1"
    before = kubectl("get pods -o name").out
    assert kubectl("rollout restart deployment/web").out == "deployment.apps/web restarted\n"
    kubectl("rollout status deployment/web --timeout=30s")
    assert not set(before.split()) & set(kubectl("get pods -o name").out.split())
    assert kubectl("rollout pause deployment/web").out == "deployment.apps/web paused\n"
    assert kubectl("rollout resume deployment/web").out == "deployment.apps/web resumed\n"


def test_scaling_checks_the_number_it_was_told_to_expect(kubectl: Kubectl) -> None:
    kubectl.apply(a_deployment())

    assert kubectl("scale deployment web --replicas=3").out == "deployment.apps/web scaled\n"
    wrong = kubectl("scale deployment web --replicas=1 --current-replicas=9", code=1)
    assert wrong.err == "error: Expected replicas to be 9, was 3\n"
    kubectl("rollout status deployment/web --timeout=30s")
    assert kubectl("get deployment web").rows[0]["READY"] == "3/3"


def test_waiting_ends_with_the_condition_the_value_or_the_deletion(kubectl: Kubectl) -> None:
    kubectl("run once --image=busybox --restart=Never", "--", "sleep", "2")
    kubectl("create job sum --image=busybox", "--", "sh", "-c", "echo 42; sleep 1")

    assert kubectl("wait pod/once --for=jsonpath={.status.phase}=Succeeded --timeout=20s").out == (
        "pod/once condition met\n"
    )
    assert kubectl("wait job/sum --for=condition=complete --timeout=20s").out == "job.batch/sum condition met\n"
    assert kubectl("get job sum").rows[0]["STATUS"] == "Complete"
    kubectl("delete pod once --wait=false")
    kubectl("wait pod/once --for=delete --timeout=10s")


def test_logs_are_read_whole_in_part_and_as_they_come(kubectl: Kubectl) -> None:
    kubectl("create job count --image=busybox", "--", "sh", "-c", "echo one; echo two; sleep 40")

    with kubectl.started("logs -f job/count --pod-running-timeout=20s") as follow:
        out, _ = follow.communicate(timeout=20)  # it ends with the container

    assert "one\ntwo\n" in out
    assert kubectl("logs job/count").out == "one\ntwo\n"
    assert kubectl("logs job/count --tail=1").out == "two\n"
    assert kubectl("logs job/count --timestamps").lines[0].endswith("Z one")
    assert kubectl("logs -l job-name=count --prefix").out.startswith("[pod/count-")
    unknown = kubectl("logs job/count -c nobody", code=1).err
    assert "container nobody is not valid for pod count-" in unknown


def test_a_drained_node_is_emptied_within_budgets_and_stays_closed(kubectl: Kubectl) -> None:
    """Also on a node that Stratos looks after: who cordons a machine by hand must not find it opened again."""
    kubectl.apply(a_deployment(replicas=2))
    kubectl("rollout status deployment/web --timeout=30s")
    node = kubectl("get pods -o", "jsonpath={.items[0].spec.nodeName}").out
    kubectl("create poddisruptionbudget web --selector=app=web --min-available=2")
    kubectl("wait pdb/web --for=jsonpath={.status.currentHealthy}=2 --timeout=10s")

    held = kubectl(f"drain {node} --pod-selector=app=web --timeout=1s", code=1)
    assert "Cannot evict pod as it would violate the pod's disruption budget." in held.err
    kubectl("delete pdb web")
    drained = kubectl(f"drain {node} --ignore-daemonsets --force --delete-emptydir-data --timeout=30s")
    assert f"node/{node} drained" in drained.lines
    kubectl("rollout status deployment/web --timeout=30s")

    elsewhere = kubectl("get pods -o", "jsonpath={.items[*].spec.nodeName}").out.split()
    assert node not in elsewhere
    assert kubectl(f"get node {node}").rows[0]["STATUS"] == "Ready,SchedulingDisabled"
    assert kubectl(f"uncordon {node}").out == f"node/{node} uncordoned\n"
    assert kubectl(f"get node {node}").rows[0]["STATUS"] == "Ready"


def test_nodes_are_tainted_and_cordoned(kubectl: Kubectl) -> None:
    kubectl.apply(a_deployment(replicas=1))
    kubectl("rollout status deployment/web --timeout=30s")
    node = kubectl("get pods -o", "jsonpath={.items[0].spec.nodeName}").out

    assert kubectl(f"taint node {node} team=blue:PreferNoSchedule").out == f"node/{node} tainted\n"
    twice = kubectl(f"taint node {node} team=red:PreferNoSchedule", code=1)
    assert "already has team taint(s) with same effect(s) and --overwrite is false" in twice.err
    assert kubectl(f"taint node {node} team-").out == f"node/{node} untainted\n"
    assert kubectl(f"cordon {node}").out == f"node/{node} cordoned\n"
    assert kubectl(f"uncordon {node}").out == f"node/{node} uncordoned\n"
