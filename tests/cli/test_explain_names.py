"""What may be asked for, and how slips are answered, before any cluster is asked."""

from pathlib import Path

import pytest

from stratos.base.errors import Invalid
from stratos.cli.explain import run_explain


@pytest.mark.parametrize("what", ["deployment/web", "pod/", "web", "", "pod/default/web"])
def test_what_cannot_be_explained_is_answered_with_what_can(what: str, tmp_path: Path) -> None:
    """No cluster is needed to see that, and none is asked: there is no such kubeconfig."""
    with pytest.raises(Invalid) as caught:
        run_explain(what, "default", as_json=False, kubeconfig=tmp_path / "none")

    assert "pod/NAME, node/NAME, nodepool/NAME, nodetemplate/NAME" in caught.value.explain()


def test_a_bare_name_is_taken_for_a_pod_in_the_hint() -> None:
    """It is what most people mean."""
    with pytest.raises(Invalid) as caught:
        run_explain("web", "default", as_json=False, kubeconfig=None)

    assert caught.value.hint == "stratos explain pod/web"
