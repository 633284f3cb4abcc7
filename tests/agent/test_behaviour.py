"""Manifests of real workloads must not trip the simulation: what it cannot read, it lets run, or leaves out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.agent.simulated_kubelet.behaviour import (
    CACHE_KEY,
    CACHED_DURATION,
    DURATION,
    EXIT_CODE,
    LOAD_SECONDS,
    Behaviour,
    behaviour_of,
)
from stratos.agent.simulated_kubelet.hooks import PowerOff, Prefetch, Sleep, parse_script
from stratos.agent.simulated_kubelet.images import pull_policy
from stratos.apis.pod import Container
from stratos.base.errors import Invalid
from stratos.providers.simulated.registry import GIGABYTE, ImageRegistry

FOREVER = Behaviour()


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ((), FOREVER),
        (("sleep", "30"), Behaviour(30)),
        (("sleep", "1.5m"), Behaviour(90)),
        (("sleep", "infinity"), FOREVER),
        (("sh", "-c", "echo hello world; sleep 2; exit 4"), Behaviour(2, 4, "hello world\n")),
        (("sh", "-c", "true && sleep 1\nfalse"), Behaviour(1, 1)),
        (("sh", "-c", "echo up; exec my-server"), Behaviour(output="up\n")),
        (("sh", "-c", "while true; do sleep 5; done"), FOREVER),
        (("sh", "-c", "echo 'one; two'"), FOREVER),
        (("python", "-m", "http.server"), FOREVER),
    ],
)
def test_simple_commands_are_read_and_others_run_until_they_are_stopped(
    command: tuple[str, ...], expected: Behaviour
) -> None:
    assert behaviour_of(Container(command=command), {}, ()) == expected


def test_arguments_belong_to_the_command() -> None:
    assert behaviour_of(Container(command=("sh", "-c"), args=("sleep 3",)), {}, ()).run_seconds == 3


@pytest.mark.parametrize(
    ("annotations", "files", "seconds"),
    [
        ({DURATION: "8m"}, (), 480),
        ({DURATION: "8m", CACHE_KEY: "go"}, (), 480),
        ({DURATION: "8m", CACHE_KEY: "go"}, ("/cache/go",), 120),
        ({DURATION: "8m", CACHE_KEY: "go"}, ("/cache/npm",), 480),
        ({DURATION: "8m", CACHE_KEY: "go", CACHED_DURATION: "3m"}, ("/cache/go",), 180),
        ({DURATION: "forever"}, (), None),
    ],
)
def test_a_filled_cache_shortens_the_run(
    annotations: dict[str, str], files: tuple[str, ...], seconds: float | None
) -> None:
    assert behaviour_of(Container(command=("sleep", "1")), annotations, files).run_seconds == seconds


@pytest.mark.parametrize("annotations", [{DURATION: "soon"}, {EXIT_CODE: "bad"}, {LOAD_SECONDS: "nan"}])
def test_a_bad_annotation_is_named(annotations: dict[str, str]) -> None:
    with pytest.raises(Invalid, match=next(iter(annotations))):
        behaviour_of(Container(), annotations, ())


def test_a_boot_script_is_searched_for_the_commands_it_may_hold() -> None:
    script = """#!/bin/bash
set -euo pipefail
# sleep 99
aws ecr get-login-password | docker login
  sleep 30
prefetch /models/llama 40Gi
prefetch /models/broken lots
echo "unbalanced
shutdown -h now
"""
    assert parse_script(script) == (Sleep(30), Prefetch("/models/llama", 40 * 2**30), PowerOff())


@given(script=st.text(), command=st.lists(st.text(), max_size=4))
def test_no_script_and_no_command_is_too_strange(script: str, command: list[str]) -> None:
    parse_script(script)
    behaviour_of(Container(command=tuple(command)), {}, ())
    behaviour_of(Container(command=("sh", "-c", script)), {}, ())


@pytest.mark.parametrize(
    ("image", "stated", "policy"),
    [
        ("app", "", "Always"),
        ("app:latest", "", "Always"),
        ("registry:5000/app", "", "Always"),
        ("registry:5000/app:1", "", "IfNotPresent"),
        ("app@sha256:0123", "", "IfNotPresent"),
        ("app:latest", "Never", "Never"),
    ],
)
def test_the_pull_policy_follows_the_tag_unless_stated(image: str, stated: str, policy: str) -> None:
    assert pull_policy(Container(image=image, image_pull_policy=stated)) == policy


@given(name=st.from_regex(r"[a-z]{1,20}:[a-z0-9]{1,10}", fullmatch=True))
def test_the_size_of_an_image_is_the_same_in_every_run(name: str) -> None:
    size = ImageRegistry().size_bytes(name)

    assert size == ImageRegistry().size_bytes(name)
    assert 50_000_000 <= size <= 50 * GIGABYTE


def test_images_of_large_models_are_large() -> None:
    assert ImageRegistry().size_bytes("my-registry.com/llama-3:70b") >= 10 * GIGABYTE
    assert ImageRegistry().size_bytes("jenkins/inbound-agent:latest") < 2 * GIGABYTE
