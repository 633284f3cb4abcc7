"""The script that prepares machines runs where nobody looks: here it runs for real, among tools that only pretend."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stratos.providers.aws.cluster_access import ClusterAccess
from stratos.providers.aws.user_data.prepare import full_name, prepare_script
from stratos.providers.contract import Bootstrap, ImagePullPolicy

CLUSTER = ClusterAccess("prod", "https://api.example.com", "Y2VydA==", "172.20.0.0/16")
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/model:3"
TOOLS = {
    "aws": """
case "$*" in
  *get-login-password*) echo ecr-password ;;
  *) printf '{\\n  "status": {"expirationTimestamp": "x", "token": "k8s-aws-v1.abc"}\\n}\\n' ;;
esac""",
    "curl": """
case "$*" in
  *selfsubjectreviews*) printf '{"status":{"userInfo":{"username": "system:node:ip-10-0-0-7.ec2.internal"}}}' ;;
esac""",
    "ctr": """
case "$*" in
  *"content active"*) echo "REF SIZE AGE" ;;
  *) for missing in $MISSING; do case "$*" in *"$missing"*) exit 1 ;; esac; done ;;
esac""",
    "lsblk": "printf '/dev/null disk\\n/dev/sr0 rom\\n'",
    "dd": "",
    "sleep": "",
    "sync": "",
    "systemctl": "",
    "systemd-run": "",
    "install": "",
}


@dataclass(frozen=True)
class Run:
    code: int
    calls: list[list[str]]

    def of(self, tool: str) -> list[list[str]]:
        return [arguments for name, *arguments in self.calls if name == tool]

    @property
    def reported(self) -> list[dict[str, Any]]:
        """The conditions that were written to the node, one after another."""
        bodies = [call[call.index("--data") + 1] for call in self.of("curl") if "PATCH" in call]
        return [json.loads(body)["status"]["conditions"][0] for body in bodies]

    @property
    def is_off(self) -> bool:
        return ["poweroff"] in self.of("systemctl")


class Host:
    """A directory of tools that write down how they were called."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._tools = root / "bin"
        self._tools.mkdir()
        self._log = root / "calls"
        self._log.touch()
        for name, body in TOOLS.items():
            tool = self._tools / name
            call = f"printf '%s\\n' \"$(printf '%q ' {name} \"$@\")\" >> {self._log}"
            tool.write_text(f"#!{shutil.which('bash')}\n{call}\n{body}\n")
            tool.chmod(0o755)

    def run(self, bootstrap: Bootstrap, *arguments: str, missing: Sequence[str] = ()) -> Run:
        script = prepare_script(bootstrap, CLUSTER, "eu-west-1")
        with socket.socket(socket.AF_UNIX) as containerd:
            path = self._root / "s"
            containerd.bind(str(path))
            file = self._root / "script"
            file.write_text(script.replace("/run/containerd/containerd.sock", str(path)))
            environment = {"PATH": f"{self._tools}:{os.environ['PATH']}", "MISSING": " ".join(missing)}
            command = ["bash", str(file), *arguments]
            ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
        assert "command not found" not in ran.stderr
        return Run(ran.returncode, [shlex.split(line) for line in self._log.read_text().splitlines()])


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_cloud_init_only_starts_it_and_goes_on(host: Host) -> None:
    """Where cloud-init waits for it and the kubelet for cloud-init, a machine would never join."""
    run = host.run(Bootstrap("prod", images_to_pull=("nginx",)))

    assert [name for name, *_ in run.calls] == ["install", "systemd-run"]
    assert run.of("systemd-run")[0][-1] == "prepare"


def test_a24_images_are_pulled_pinned_and_reported(host: Host) -> None:
    run = host.run(Bootstrap("prod", images_to_pull=("nginx", ECR), images_to_try=("acme/extra:2",)), "prepare")

    assert run.code == 0
    pulls = [call for call in run.of("ctr") if "pull" in call]
    assert [call[-1] for call in pulls] == ["docker.io/library/nginx:latest", ECR, "docker.io/acme/extra:2"]
    assert all(call[:2] == ["--namespace", "k8s.io"] for call in pulls)
    assert all("io.cri-containerd.pinned=pinned" in call for call in pulls)
    assert [call[call.index("--user") + 1] for call in pulls if "--user" in call] == ["AWS:ecr-password"]
    assert ["ecr", "get-login-password", "--region", "eu-west-1"] in run.of("aws")
    assert [(told["type"], told["status"]) for told in run.reported] == [
        ("stratos.sh/ImagesPulled", "Unknown"),
        ("stratos.sh/ImagesPulled", "True"),
    ]
    assert not run.is_off


def test_the_report_is_made_as_the_kubelet(host: Host) -> None:
    """A node may write its own status and nobody else's: no further rights have to be granted."""
    run = host.run(Bootstrap("prod", images_to_pull=("nginx",)), "prepare")

    patch = next(call for call in run.of("curl") if "PATCH" in call)
    assert patch[-1] == "https://api.example.com/api/v1/nodes/ip-10-0-0-7.ec2.internal/status"
    assert "Authorization: Bearer k8s-aws-v1.abc" in patch
    assert "Content-Type: application/strategic-merge-patch+json" in patch
    assert patch[patch.index("--cacert") + 1] == "/etc/kubernetes/pki/ca.crt"


def test_a25_a_missing_image_is_tried_three_times_named_and_keeps_the_machine_on(host: Host) -> None:
    """Required: a machine without its images must not pass for prepared."""
    bootstrap = Bootstrap("prod", images_to_pull=("gone:1", "nginx"), power_off_when_ready=True)

    run = host.run(bootstrap, "prepare", missing=["gone"])

    assert run.code == 1
    assert sum("gone" in call[-1] for call in run.of("ctr")) == 3
    assert [call for call in run.of("sleep") if call in (["2"], ["4"])] == [["2"], ["4"]]
    last = run.reported[-1]
    assert (last["status"], last["reason"]) == ("False", "PullFailed")
    assert last["message"] == "not pulled: docker.io/library/gone:1"
    assert not run.is_off


def test_a25_best_effort_turns_off_all_the_same(host: Host) -> None:
    bootstrap = Bootstrap(
        "prod",
        images_to_pull=("gone:1",),
        image_pull_policy=ImagePullPolicy.BEST_EFFORT,
        power_off_when_ready=True,
    )

    run = host.run(bootstrap, "prepare", missing=["gone"])

    assert (run.code, run.reported[-1]["status"], run.is_off) == (0, "False", True)


def test_images_worth_having_are_no_reason_to_fail(host: Host) -> None:
    run = host.run(Bootstrap("prod", images_to_pull=("nginx",), images_to_try=("gone:1",)), "prepare", missing=["gone"])

    assert (run.code, run.reported[-1]["status"]) == (0, "True")


def test_a06_a_machine_turns_off_when_its_kubelet_is_well_and_its_disks_are_warm(host: Host) -> None:
    """The first read of a block of a new volume is slow: better now than when a pod waits."""
    run = host.run(Bootstrap("prod", power_off_when_ready=True), "prepare")

    assert run.of("curl")[0][-1] == "http://127.0.0.1:10248/healthz"
    assert [call[0] for call in run.of("dd")] == ["if=/dev/null"]
    assert run.is_off
    assert run.reported == []  # no images were asked for


def test_there_is_no_script_without_a_reason() -> None:
    assert prepare_script(Bootstrap("prod"), CLUSTER, "eu-west-1") == ""


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_script_stands_up_to_shellcheck() -> None:
    bootstrap = Bootstrap("prod", images_to_pull=("nginx",), images_to_try=("x",), power_off_when_ready=True)
    script = prepare_script(bootstrap, CLUSTER, "x")
    checked = subprocess.run(["shellcheck", "-"], input=script, text=True, capture_output=True, check=False)
    assert checked.stdout == ""


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("acme/agent", "docker.io/acme/agent:latest"),
        ("ghcr.io/acme/agent@sha256:abc", "ghcr.io/acme/agent@sha256:abc"),
        ("localhost:5000/agent", "localhost:5000/agent:latest"),
        ("localhost/agent:2", "localhost/agent:2"),
    ],
)
def test_images_get_the_names_that_containerd_wants(image: str, full: str) -> None:
    """The kubelet fills in what is missing, containerd's own tool does not."""
    assert full_name(image) == full
