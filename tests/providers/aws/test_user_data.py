"""User data decides whether a machine joins its cluster at all, and nobody sees it fail: so it is all parsed here."""

from __future__ import annotations

import subprocess
import tomllib
from dataclasses import replace
from email import message_from_bytes
from typing import Any

import pytest
import yaml

from stratos.apis.node import Taint
from stratos.base.errors import Invalid
from stratos.providers.aws.cluster_access import ClusterAccess
from stratos.providers.aws.settings import AwsSettings
from stratos.providers.aws.user_data import LIMIT_BYTES, user_data
from stratos.providers.contract import Bootstrap, ImagePullPolicy

CLUSTER = ClusterAccess("prod", "https://api.example.com", "Y2VydA==", "172.20.0.0/16", "1.33")
BOOTSTRAP = Bootstrap(
    cluster_name="prod",
    node_labels={"team": "ml", "stratos.sh/pool": "ci", "node-role.kubernetes.io/worker": ""},
    node_taints=(Taint("stratos.sh/standby", "NoExecute"), Taint("gpu", "NoSchedule", "yes")),
    max_pods=110,
)
WITH_IMAGES = replace(
    BOOTSTRAP,
    images_to_pull=("nginx", "ghcr.io/acme/agent:1"),
    images_to_try=("acme/extra:2",),
    power_off_when_ready=True,
)

RKE2 = """\
#!/bin/bash
mkdir -p /etc/rancher/rke2/
cat <<END > /etc/rancher/rke2/config.yaml
server: "https://10.0.0.1:9345"
token: "secret"
node-label:
{{- range $k, $v := .Labels }}
  - "{{ $k }}={{ $v }}"
{{- end }}
{{- if .Taints }}
node-taint:
{{- range $t := .Taints }}
  - "{{ $t }}"
{{- end }}
{{- end }}
{{- if (gt .MaxPods 0) }}
kubelet-arg: "--max-pods={{.MaxPods}}"
{{- end }}
END
systemctl enable rke2-agent.service
systemctl start rke2-agent.service
"""


def parts(text: str) -> list[tuple[str, str]]:
    """Content type and text of every part, as cloud-init reads them."""
    found = []
    for part in message_from_bytes(text.encode()).walk():
        if not part.is_multipart():
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            found.append((part.get_content_type(), payload.decode()))
    return found


def is_good_shell(script: str) -> bool:
    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    return (checked.returncode, checked.stderr) == (0, "")


def rke2_config(bootstrap: Bootstrap) -> dict[str, Any]:
    script = user_data(bootstrap, AwsSettings(user_data=RKE2, user_data_type="Template"), CLUSTER)
    assert is_good_shell(script)
    config: dict[str, Any] = yaml.safe_load(script.partition("config.yaml\n")[2].partition("\nEND\n")[0])
    return config


@pytest.mark.parametrize("max_pods", [None, 110])
@pytest.mark.parametrize("taints", [(), (Taint("gpu", "NoSchedule", "yes"),)])
def test_b46_the_template_for_rke2_renders_labels_taints_and_max_pods(
    taints: tuple[Taint, ...], max_pods: int | None
) -> None:
    """Clusters that are not EKS are joined by their own means, written by people who know Go's templates."""
    bootstrap = Bootstrap("prod", node_labels={"b": "2", "a": "1"}, node_taints=taints, max_pods=max_pods)

    config = rke2_config(bootstrap)

    assert config["node-label"] == ["a=1", "b=2"]
    assert config.get("node-taint") == (["gpu=yes:NoSchedule"] if taints else None)
    assert config.get("kubelet-arg") == ("--max-pods=110" if max_pods else None)


def test_al2023_is_configured_by_nodeadm() -> None:
    """Labels and taints must be there when the node registers: later, a pod may have slipped in."""
    ((content_type, text),) = parts(user_data(BOOTSTRAP, AwsSettings(kubelet_extra_args={"v": "4"}), CLUSTER))

    assert content_type == "application/node.eks.aws"
    config = yaml.safe_load(text)
    assert (config["apiVersion"], config["kind"]) == ("node.eks.aws/v1alpha1", "NodeConfig")
    assert config["spec"]["cluster"] == {
        "name": "prod",
        "apiServerEndpoint": "https://api.example.com",
        "certificateAuthority": "Y2VydA==",
        "cidr": "172.20.0.0/16",
    }
    assert config["spec"]["kubelet"]["config"] == {"maxPods": 110}
    assert config["spec"]["kubelet"]["flags"] == [
        "--node-labels=stratos.sh/pool=ci,team=ml",
        "--register-with-taints=stratos.sh/standby:NoExecute,gpu=yes:NoSchedule",
        "--v=4",
    ]


def test_labels_that_a_kubelet_may_not_set_are_kept_from_it() -> None:
    """A kubelet that is told to set node-role.kubernetes.io does not start at all."""
    foreign = {"node-role.kubernetes.io/x": "", "a.k8s.io/b": "c"}
    allowed = {
        "topology.kubernetes.io/zone": "z",
        "node.kubernetes.io/kind": "ci",
        "x.kubelet.kubernetes.io/y": "z",
        "example.com/kubernetes.io": "1",
    }

    text = user_data(Bootstrap("prod", node_labels={**foreign, **allowed}), AwsSettings(), CLUSTER)

    (flags,) = yaml.safe_load(parts(text)[0][1])["spec"]["kubelet"]["flags"]
    assert flags.partition("=")[2].split(",") == sorted(f"{key}={value}" for key, value in allowed.items())


def test_al2_joins_by_the_script_of_its_image() -> None:
    ((content_type, script),) = parts(user_data(BOOTSTRAP, AwsSettings(bootstrap_template="AL2"), CLUSTER))

    assert content_type == "text/x-shellscript"
    assert is_good_shell(script)
    told = script.replace("/etc/eks/bootstrap.sh", "printf '%s\\n'")
    shown = subprocess.run(["bash"], input=told, text=True, capture_output=True, check=True)
    assert shown.stdout.splitlines() == [
        *("prod", "--apiserver-endpoint", "https://api.example.com", "--b64-cluster-ca", "Y2VydA=="),
        *("--dns-cluster-ip", "172.20.0.10", "--use-max-pods", "false", "--kubelet-extra-args"),
        "--node-labels=stratos.sh/pool=ci,team=ml "
        "--register-with-taints=stratos.sh/standby:NoExecute,gpu=yes:NoSchedule --max-pods=110",
    ]


def test_bottlerocket_gets_settings() -> None:
    custom = '[settings.kernel]\nlockdown = "integrity"\n[settings.kubernetes]\nmax-pods = 3\nevent-qps = 9\n'

    text = user_data(BOOTSTRAP, AwsSettings(bootstrap_template="Bottlerocket", custom_user_data=custom), CLUSTER)

    settings = tomllib.loads(text)["settings"]
    assert settings["kernel"] == {"lockdown": "integrity"}
    assert settings["kubernetes"] == {
        "cluster-name": "prod",
        "api-server": "https://api.example.com",
        "cluster-certificate": "Y2VydA==",
        "cluster-dns-ip": "172.20.0.10",
        "max-pods": 110,
        "event-qps": 9,
        "node-labels": {"stratos.sh/pool": "ci", "team": "ml"},
        "node-taints": {"stratos.sh/standby": [":NoExecute"], "gpu": ["yes:NoSchedule"]},
    }


def test_bottlerocket_takes_no_scripts() -> None:
    with pytest.raises(Invalid, match=r"spec\.customUserData is not TOML") as caught:
        user_data(BOOTSTRAP, AwsSettings(bootstrap_template="Bottlerocket", custom_user_data="rm -rf /tmp/x"), CLUSTER)

    assert caught.value.problems[0].field == "spec.customUserData"


def test_raw_user_data_replaces_everything() -> None:
    assert user_data(WITH_IMAGES, AwsSettings(user_data="#!/bin/sh\npoweroff"), CLUSTER) == "#!/bin/sh\npoweroff"


@pytest.mark.parametrize(
    ("custom", "kinds"),
    [
        ("#!/bin/sh\ntrue", ["text/x-shellscript"]),
        ("echo hello", ["text/x-shellscript"]),
        ("#cloud-config\nruncmd: []", ["text/cloud-config"]),
        ("apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig", ["application/node.eks.aws"]),
        (
            'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="B"\n\n'
            "--B\nContent-Type: text/x-shellscript\n\n#!/bin/sh\n--B\nContent-Type: text/cloud-config\n\n{}\n--B--\n",
            ["text/x-shellscript", "text/cloud-config"],
        ),
    ],
)
def test_custom_user_data_is_a_part_of_its_own_kind(custom: str, kinds: list[str]) -> None:
    """Users bring whatever their former tool took; each kind has a reader of its own on the machine."""
    text = user_data(BOOTSTRAP, AwsSettings(custom_user_data=custom), CLUSTER)

    assert [kind for kind, _ in parts(text)] == ["application/node.eks.aws", *kinds]
    assert all(script.startswith("#!/bin/") for kind, script in parts(text) if kind == "text/x-shellscript")


@pytest.mark.parametrize(
    ("settings", "order"),
    [
        (AwsSettings(bootstrap_template="AL2"), ["grün", "bootstrap.sh", "systemctl poweroff"]),
        # nodeadm reads its part first, wherever it stands, and acts on it when all scripts are done
        (AwsSettings(bootstrap_template="AL2023"), ["NodeConfig", "grün", "systemctl poweroff"]),
    ],
)
def test_custom_user_data_runs_before_the_node_joins_and_preparation_after(
    settings: AwsSettings, order: list[str]
) -> None:
    custom = AwsSettings(bootstrap_template=settings.bootstrap_template, custom_user_data="#!/bin/sh\necho grün")

    texts = [text for _, text in parts(user_data(WITH_IMAGES, custom, CLUSTER))]

    assert [next(word for word in order if word in text) for text in texts] == order


def test_the_same_wish_makes_the_same_user_data() -> None:
    """Otherwise every launch would need a launch template of its own."""
    again = replace(WITH_IMAGES, node_labels=dict(reversed(list(WITH_IMAGES.node_labels.items()))))

    assert user_data(WITH_IMAGES, AwsSettings(), CLUSTER) == user_data(again, AwsSettings(), CLUSTER)


def test_user_data_that_is_too_long_says_by_how_much_and_why() -> None:
    """EC2 would only say that it is too long, at the first launch."""
    settings = AwsSettings(custom_user_data="#!/bin/sh\n" + "x" * LIMIT_BYTES)

    with pytest.raises(Invalid, match=r"more than the 16384") as caught:
        user_data(BOOTSTRAP, settings, CLUSTER)

    assert caught.value.looked_at[0] == f"customUserData: {LIMIT_BYTES + 10} bytes"
    assert caught.value.hint


def test_a_long_list_of_images_still_fits() -> None:
    """The limit is to be spent on what users bring, not on what we do."""
    images = tuple(f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/service-{number}:1.0" for number in range(50))
    bootstrap = replace(WITH_IMAGES, images_to_pull=images, image_pull_policy=ImagePullPolicy.BEST_EFFORT)

    assert len(user_data(bootstrap, AwsSettings(), CLUSTER)) < LIMIT_BYTES * 0.6


def test_settings_come_through_the_contract_as_they_were() -> None:
    settings = AwsSettings(
        bootstrap_template="AL2",
        custom_user_data="x",
        kubelet_extra_args={"v": "4"},
        http_put_response_hop_limit=2,
        hibernation=True,
    )

    carried = settings.to_settings()

    assert carried["bootstrapTemplate"] == "AL2"
    assert AwsSettings.from_settings({**carried, "somebody-else's": "1"}) == settings
    assert AwsSettings.from_settings({}) == AwsSettings()
