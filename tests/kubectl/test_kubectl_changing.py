"""Objects changed and deleted through kubectl: every kind of patch and apply, and what holds a deletion up."""

from __future__ import annotations

import pytest
import yaml

from kubectl.kubectl_objects import a_config_map, a_deployment
from kubectl.served_cluster import Kubectl


def test_apply_creates_then_changes_and_says_which(kubectl: Kubectl) -> None:
    """Whoever applies the same manifest twice must see that nothing happened."""
    assert kubectl.apply(a_deployment()).out == "deployment.apps/web created\n"
    assert kubectl.apply(a_deployment()).out == "deployment.apps/web unchanged\n"
    assert kubectl.apply(a_deployment(replicas=3)).out == "deployment.apps/web configured\n"
    assert kubectl.apply(a_deployment(), options="--dry-run=server").out == (
        "deployment.apps/web configured (server dry run)\n"
    )
    assert kubectl("get deployment web -o", "jsonpath={.spec.replicas}").out == "3"

    difference = kubectl("diff -f -", stdin=yaml.safe_dump(a_deployment(replicas=1)), code=1).out
    assert "-  replicas: 3\n+  replicas: 1\n" in difference
    assert kubectl("diff -f -", stdin=yaml.safe_dump(a_deployment(replicas=3))).out == ""


def test_what_client_side_apply_no_longer_names_is_removed(kubectl: Kubectl) -> None:
    kubectl.apply(a_config_map(kept="1", dropped="2"))
    kubectl("annotate configmap settings note=mine")

    kubectl.apply(a_config_map(kept="1"))

    settings = kubectl("get configmap settings -o json").json
    assert settings["data"] == {"kept": "1"}
    assert settings["metadata"]["annotations"]["note"] == "mine"


def test_the_three_kinds_of_patch_change_what_they_say(kubectl: Kubectl) -> None:
    """Strategic patches merge lists by their keys, merge patches replace them, JSON patches go by position."""
    kubectl.apply(a_deployment())

    kubectl(
        "patch deployment web -p", '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"nginx:2"}]}}}}'
    )
    kubectl("patch deployment web --type=merge -p", '{"metadata":{"annotations":{"team":"blue"}}}')
    kubectl("patch deployment web --type=json -p", '[{"op":"replace","path":"/spec/replicas","value":1}]')

    web = kubectl("get deployment web -o json").json
    (container,) = web["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["command"][0]) == ("nginx:2", "sh")
    assert web["metadata"]["annotations"]["team"] == "blue"
    assert web["spec"]["replicas"] == 1
    nowhere = kubectl("patch deployment web --type=json -p", '[{"op":"remove","path":"/spec/nothing"}]', code=1)
    assert "/spec/nothing" in nowhere.err
    wrong = kubectl("patch deployment web -p", '{"spec":{"replicas":"two"}}', code=1)
    assert "spec.replicas" in wrong.err


def test_an_object_is_edited_as_text(kubectl: Kubectl) -> None:
    """`edit` fetches, opens an editor, and sends what was changed; an invalid change comes back for another try."""
    kubectl.apply(a_deployment(replicas=1))

    edited = kubectl.edited_with("sed -i 's/replicas: 1/replicas: 2/'")("edit deployment web")
    assert edited.out == "deployment.apps/web edited\n"
    assert kubectl("get deployment web -o", "jsonpath={.spec.replicas}").out == "2"
    assert kubectl.edited_with("true")("edit deployment web").err == "Edit cancelled, no changes made.\n"
    refused = kubectl.edited_with("sed -i 's/replicas: 2/replicas: -2/'")("edit deployment web", code=1)
    assert refused.err.startswith('error: deployments.apps "web" is invalid\n')
    kept = [file.read_text() for file in kubectl.home.glob("kubectl-edit-*.yaml")]
    assert any("# * spec.replicas: Invalid value: -2: must be greater than or equal to 0" in text for text in kept)


def test_server_side_appliers_who_disagree_get_a_conflict_until_one_forces(kubectl: Kubectl) -> None:
    """Two tools that manage one field must learn of each other, instead of overwriting in turns."""
    kubectl.apply(a_deployment(replicas=2), options="--server-side --field-manager=ci")

    conflict = kubectl.apply(a_deployment(replicas=5), options="--server-side --field-manager=hands", code=1)
    assert 'Apply failed with 1 conflict: conflict with "ci": .spec.replicas' in conflict.err
    assert kubectl("get deployment web -o", "jsonpath={.spec.replicas}").out == "2"

    forced = kubectl.apply(a_deployment(replicas=5), options="--server-side --field-manager=hands --force-conflicts")
    assert forced.out == "deployment.apps/web serverside-applied\n"
    assert kubectl("get deployment web -o", "jsonpath={.spec.replicas}").out == "5"
    managers = kubectl("get deployment web -o json --show-managed-fields").json["metadata"]["managedFields"]
    owners = {entry["manager"] for entry in managers if "f:replicas" in entry["fieldsV1"].get("f:spec", {})}
    assert owners == {"hands"}


def test_a_manifest_moves_from_client_side_to_server_side_apply(kubectl: Kubectl) -> None:
    """The usual way to adopt server-side apply: kubectl hands its old ownership over, without a conflict."""
    kubectl.apply(a_config_map(kept="1", dropped="2"))

    kubectl.apply(a_config_map(kept="3"), options="--server-side")

    assert kubectl("get configmap settings -o json").json["data"] == {"kept": "3"}


def test_labels_and_annotations_are_set_changed_and_removed(kubectl: Kubectl) -> None:
    kubectl.apply(a_config_map())

    kubectl("label configmap settings tier=front")
    refused = kubectl("label configmap settings tier=back", code=1)
    assert refused.err == "error: 'tier' already has a value (front), and --overwrite is false\n"
    kubectl("label configmap settings tier=back --overwrite")
    assert [row["NAME"] for row in kubectl("get configmaps -l tier=back").rows] == ["settings"]
    assert kubectl("get configmap settings -L tier").rows[0]["TIER"] == "back"
    assert kubectl("label configmap settings tier-").out == "configmap/settings unlabeled\n"
    assert kubectl("annotate configmap settings note=x").out == "configmap/settings annotated\n"


def test_an_object_is_replaced_only_where_it_has_not_changed_since(kubectl: Kubectl) -> None:
    """`edit` and `replace` send back what they read; whoever was slower must look again."""
    kubectl.apply(a_config_map(colour="blue"))
    read = kubectl("get configmap settings -o yaml").out
    kubectl("label configmap settings changed=meanwhile")

    late = kubectl("replace -f -", stdin=read, code=1)

    assert late.err.startswith("Error from server (Conflict): ")
    assert "the object has been modified; please apply your changes to the latest version" in late.err
    kubectl("replace -f -", stdin=kubectl("get configmap settings -o yaml").out)
    kubectl("replace --force -f -", stdin=yaml.safe_dump(a_config_map(colour="red")))
    assert kubectl("get configmap settings -o", "jsonpath={.data.colour}").out == "red"


def test_a_finalizer_holds_a_deletion_until_it_is_taken_away(kubectl: Kubectl) -> None:
    kubectl.apply(a_config_map())
    kubectl("patch configmap settings -p", '{"metadata":{"finalizers":["example.com/hold"]}}')

    kubectl("delete configmap settings --wait=false")

    assert kubectl("get configmap settings -o", "jsonpath={.metadata.deletionTimestamp}").out
    waited = kubectl("wait configmap/settings --for=delete --timeout=1s", code=1)
    assert waited.err.endswith("error: timed out waiting for the condition on configmaps/settings\n")
    kubectl("patch configmap settings --type=json -p", '[{"op":"remove","path":"/metadata/finalizers"}]')
    kubectl("wait configmap/settings --for=delete --timeout=10s")
    kubectl("get configmap settings", code=1)


def test_deletion_takes_dependents_along_or_leaves_them_as_told(kubectl: Kubectl) -> None:
    """Orphaned ReplicaSets go on; foreground deletion returns only when everything below is gone."""
    kubectl.apply(a_deployment())
    kubectl("rollout status deployment/web --timeout=30s")

    kubectl("delete deployment web --cascade=orphan")
    (replica_set,) = kubectl("get replicasets").rows
    assert replica_set["READY"] == "2"
    assert len(kubectl("get pods").rows) == 2

    kubectl("delete replicaset --all --cascade=foreground")
    assert kubectl("get replicasets,pods").err.startswith("No resources found")


def test_a_namespace_is_gone_with_everything_in_it(kubectl: Kubectl) -> None:
    kubectl.apply(a_deployment(), a_config_map())

    kubectl(f"delete namespace {kubectl.namespace} --timeout=30s")

    kubectl(f"get namespace {kubectl.namespace}", code=1)
    assert kubectl("get all,configmaps").err.startswith("No resources found")
    late = kubectl.apply(a_config_map(), code=1)
    assert late.err.endswith(f'namespaces "{kubectl.namespace}" not found\n')


def test_unknown_fields_are_refused_warned_of_or_ignored_as_asked(kubectl: Kubectl) -> None:
    """A misspelt field that is dropped silently is found in production."""
    misspelt = a_deployment()
    misspelt["spec"]["replcas"] = 3

    strict = kubectl.apply(misspelt, code=1).err
    assert strict.startswith("Error from server (BadRequest): ")
    assert 'strict decoding error: unknown field "spec.replcas"' in strict
    kubectl("get deployment web", code=1)
    warned = kubectl.apply(misspelt, options="--validate=warn")
    assert (warned.out, warned.err) == ("deployment.apps/web created\n", 'Warning: unknown field "spec.replcas"\n')
    assert kubectl.apply(misspelt, options="--validate=ignore").err == ""


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("create deployment api --image=nginx:1 --replicas=1 --port=80", "deployment.apps/api created"),
        ("create job once --image=busybox -- sleep 1", "job.batch/once created"),
        ("create cronjob tick --image=busybox --schedule=@hourly -- sleep 1", "cronjob.batch/tick created"),
        ("create secret generic key --from-literal=a=b", "secret/key created"),
        ("create secret docker-registry pull --docker-username=u --docker-password=p", "secret/pull created"),
        ("create configmap settings --from-literal=a=b", "configmap/settings created"),
        ("create serviceaccount bot", "serviceaccount/bot created"),
        ("create role reader --verb=get --resource=pods", "role.rbac.authorization.k8s.io/reader created"),
        (
            "create rolebinding view --clusterrole=view --user=jane",
            "rolebinding.rbac.authorization.k8s.io/view created",
        ),
        ("create quota few --hard=pods=10", "resourcequota/few created"),
        (
            "create poddisruptionbudget web --selector=app=web --min-available=1",
            "poddisruptionbudget.policy/web created",
        ),
        ("create service clusterip inner --tcp=80:8080", "service/inner created"),
        ("create ingress door --rule=example.com/=inner:80", "ingress.networking.k8s.io/door created"),
        ("run shell --image=busybox --restart=Never -- sleep 1", "pod/shell created"),
    ],
)
def test_create_and_run_make_what_they_are_told(kubectl: Kubectl, command: str, printed: str) -> None:
    assert kubectl(command).out == printed + "\n"


def test_a_deployment_is_exposed_and_its_pods_become_endpoints(kubectl: Kubectl) -> None:
    kubectl.apply(a_deployment())
    kubectl("rollout status deployment/web --timeout=30s")

    assert kubectl("expose deployment web --port=80 --target-port=8080").out == "service/web exposed\n"

    (service,) = kubectl("get services").rows
    assert (service["TYPE"], service["EXTERNAL-IP"], service["PORT(S)"]) == ("ClusterIP", "<none>", "80/TCP")
    kubectl("wait endpoints/web --for=jsonpath={.subsets[0].addresses[1].ip} --timeout=10s")
    (endpoints,) = kubectl("get endpoints web").rows
    assert endpoints["ENDPOINTS"].count(":8080") == 2
    assert kubectl("get endpointslices").rows[0]["PORTS"] == "8080"
