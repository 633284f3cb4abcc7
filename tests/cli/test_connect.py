"""Which cluster a command speaks to when it is not told: a wrong guess would change somebody's production."""

from pathlib import Path

import pytest

from stratos.base.errors import NotFound
from stratos.cli.connect import choose_access

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{{name: here, context: {{cluster: here, user: me}}}}]
clusters: [{{name: here, cluster: {{server: "https://{host}"}}}}]
users: [{{name: me, user: {{token: secret}}}}]
"""


def a_kubeconfig(path: Path, host: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(KUBECONFIG.format(host=host))
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody's home folder, and nothing in the environment that says otherwise."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_the_option_wins_over_everything(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody typed is what they mean."""
    monkeypatch.setenv("KUBECONFIG", str(a_kubeconfig(home / "other", "other")))
    a_kubeconfig(home / ".stratos" / "kubeconfig", "ours")

    assert choose_access(a_kubeconfig(home / "typed", "typed")).server == "https://typed"


def test_the_environment_wins_over_our_own_cluster(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kubectl in the same shell speaks to it, and so must we."""
    monkeypatch.setenv("KUBECONFIG", str(a_kubeconfig(home / "other", "other")))
    a_kubeconfig(home / ".stratos" / "kubeconfig", "ours")

    assert choose_access(None).server == "https://other"


def test_our_own_cluster_wins_over_the_general_kubeconfig(home: Path) -> None:
    """Whoever has just run `stratos up` wants to look at that cluster, without setting anything."""
    a_kubeconfig(home / ".stratos" / "kubeconfig", "ours")
    a_kubeconfig(home / ".kube" / "config", "general")

    assert choose_access(None).server == "https://ours"


def test_without_a_cluster_of_our_own_it_is_kubectls(home: Path) -> None:
    """Stratos works on any cluster."""
    a_kubeconfig(home / ".kube" / "config", "general")

    assert choose_access(None).server == "https://general"


def test_with_no_cluster_at_all_it_says_where_it_looked(home: Path) -> None:
    """So that the reader knows which of the places to fill."""
    with pytest.raises(NotFound) as caught:
        choose_access(None)

    assert str(home / ".kube" / "config") in caught.value.explain()
