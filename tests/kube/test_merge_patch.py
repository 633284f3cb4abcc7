"""Writing a status as the difference to the one before."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stratos.apis.meta import ObjectMeta
from stratos.apis.nodeclaim import NodeClaimStatus
from stratos.apiserver.registry.patching.merge import merge_patch as apply_merge_patch
from stratos.kube.codec import merge_patch

words = st.sampled_from(("", "one", "other"))
statuses = st.builds(
    NodeClaimStatus, instance_id=words, zone=words, node_name=words, price_usd_per_hour=st.floats(0, 9)
)


@given(before=statuses, after=statuses)
def test_the_patch_between_two_statuses_makes_the_one_of_the_other(
    before: NodeClaimStatus, after: NodeClaimStatus
) -> None:
    """What is back at its default is not sent in a struct: silence would keep the old value on the server."""
    patched = apply_merge_patch(msgspec.to_builtins(before), merge_patch(before, after))

    assert msgspec.convert(patched, NodeClaimStatus) == after


def test_fields_that_stay_are_not_in_the_patch() -> None:
    """They may have been changed by somebody else meanwhile."""
    before = NodeClaimStatus(instance_id="i-1", zone="a")

    assert merge_patch(before, msgspec.structs.replace(before, zone="b")) == {"zone": "b"}


@given(before=st.dictionaries(words, words), after=st.dictionaries(words, words))
def test_what_a_map_loses_is_taken_back_by_name(before: dict[str, str], after: dict[str, str]) -> None:
    """A merge patch merges maps too: a key it does not name stays."""
    patch = merge_patch(ObjectMeta(labels=before), ObjectMeta(labels=after))

    assert apply_merge_patch({"labels": before}, patch).get("labels", {}) == after
