"""The image and the pods that run in it are written in two places, and must agree."""

from __future__ import annotations

from pathlib import Path

from stratos.wiring.installation import Values, installation

DOCKERFILE = (Path(__file__).parents[2] / "Dockerfile").read_text().splitlines()


def test_pods_run_as_the_user_that_the_image_is_made_for() -> None:
    """Kubernetes checks that it is not root by its number; files are readable to it alone."""
    user = next(line.removeprefix("USER ").partition(":")[0] for line in DOCKERFILE if line.startswith("USER "))
    pods = [
        obj["spec"]["template"]["spec"]
        for obj in installation(Values(cluster_name="x"))
        if obj["kind"] in ("Deployment", "DaemonSet")
    ]

    assert {pod["securityContext"]["runAsUser"] for pod in pods} == {int(user)}
    assert all(each["securityContext"]["readOnlyRootFilesystem"] for pod in pods for each in pod["containers"])


def test_the_image_starts_the_command_that_pods_name_the_arguments_of() -> None:
    assert 'ENTRYPOINT ["stratos"]' in DOCKERFILE
