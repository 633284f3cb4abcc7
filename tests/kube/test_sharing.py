"""Sharing must be invisible but for the memory it saves."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stratos.apis.pod import Pod
from stratos.kube.sharing import Sharing

words = st.sampled_from(["a", "b", "main", "True"])
pods = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries(
            {"name": words, "uid": words, "labels": st.dictionaries(words, words, max_size=2)}
        ),
        "spec": st.fixed_dictionaries(
            {
                "nodeName": words,
                "containers": st.lists(
                    st.fixed_dictionaries(
                        {
                            "name": words,
                            "resources": st.fixed_dictionaries(
                                {"requests": st.dictionaries(words, st.one_of(words, st.integers(0, 2)), max_size=2)}
                            ),
                        }
                    ),
                    max_size=2,
                ),
            }
        ),
        "status": st.fixed_dictionaries(
            {"conditions": st.lists(st.fixed_dictionaries({"type": words, "status": words}), max_size=3)}
        ),
    }
)


def decoded(obj: dict[str, Any]) -> Pod:
    return msgspec.json.decode(msgspec.json.encode(obj), type=Pod)


@given(st.lists(pods, max_size=8))
def test_a_shared_object_equals_what_was_read(objects: list[dict[str, Any]]) -> None:
    sharing = Sharing()
    shared = [sharing.share(decoded(obj)) for obj in objects]
    assert shared == [decoded(obj) for obj in objects]


def test_replicas_keep_one_copy_of_what_they_have_in_common() -> None:
    def replica(number: int) -> dict[str, Any]:
        return {
            "metadata": {"name": f"web-{number}", "namespace": "team-blue", "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "main", "image": "example.com/web:1"}], "nodeSelector": {"a": "b"}},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }

    sharing = Sharing()
    one, two = (sharing.share(decoded(replica(number))) for number in range(2))

    assert one.metadata.labels is two.metadata.labels
    assert one.metadata.namespace is two.metadata.namespace
    assert one.spec.containers is two.spec.containers
    assert one.spec.node_selector is two.spec.node_selector
    assert one.status.conditions[0].type is two.status.conditions[0].type
    assert (one.metadata.name, two.metadata.name) == ("web-0", "web-1")


def test_what_is_remembered_for_sharing_is_bounded() -> None:
    sharing = Sharing()
    for number in range(50_000):
        sharing.share(decoded({"metadata": {"labels": {"n": str(number)}}, "status": {"podIP": str(number)}}))
    assert max(len(sharing._atoms), len(sharing._wholes)) <= 20_001
