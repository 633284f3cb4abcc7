"""Accounts are optional, and so are the SDKs that reach them: what is missing is told, with what to do about it."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace

import pytest

from stratos.base.errors import NotReady, Unavailable
from stratos.providers.prices.aws_account import find_aws_session
from stratos.providers.prices.azure_account import find_azure_skus
from stratos.providers.prices.gcp_account import find_gcp_machine_types
from stratos.providers.prices.oci_account import find_oci_shapes
from stratos.providers.prices.sdk import ask, find_sdk


def installed(monkeypatch: pytest.MonkeyPatch, name: str, **contents: object) -> None:
    """As if the SDK of that name were installed. A package's parents are asked for as well."""
    parts = name.split(".")
    for end in range(1, len(parts)):
        monkeypatch.setitem(sys.modules, ".".join(parts[:end]), SimpleNamespace(__path__=[]))
    monkeypatch.setitem(sys.modules, name, SimpleNamespace(**contents))


def refuses(*_: object) -> object:
    raise LookupError("nothing configured")


def test_an_sdk_that_is_not_installed_is_named_with_the_extra_that_brings_it() -> None:
    """The reader can copy the line."""
    with pytest.raises(NotReady, match=r"pip install 'stratos-compute\[aws\]'"):
        find_sdk("an_sdk_that_nobody_wrote", "aws")


def test_an_aws_session_without_credentials_is_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK makes sessions that can do nothing; that is better known at once."""
    installed(monkeypatch, "boto3", Session=lambda: SimpleNamespace(get_credentials=lambda: None))

    with pytest.raises(NotReady, match="no AWS credentials"):
        find_aws_session()


def test_an_aws_session_with_credentials_is_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever source of credentials the SDK knows will do."""
    session = SimpleNamespace(get_credentials=object)
    installed(monkeypatch, "boto3", Session=lambda: session)

    assert find_aws_session() is session


def test_azure_is_asked_in_the_subscription_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes are listed by subscription; without one there is nothing to ask."""
    asked: list[tuple[object, str]] = []
    skus = object()

    def client(credential: object, subscription: str) -> SimpleNamespace:
        asked.append((credential, subscription))
        return SimpleNamespace(resource_skus=skus)

    installed(monkeypatch, "azure.identity", DefaultAzureCredential=lambda: "credential")
    monkeypatch.setitem(sys.modules, "azure.mgmt", SimpleNamespace(__path__=[]))
    monkeypatch.setitem(sys.modules, "azure.mgmt.compute", SimpleNamespace(ComputeManagementClient=client))

    assert find_azure_skus("sub-1") is skus
    assert asked == [("credential", "sub-1")]
    with pytest.raises(NotReady, match="AZURE_SUBSCRIPTION_ID"):
        find_azure_skus(None)


def test_google_cloud_is_asked_in_the_project_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong inside the SDK is told, and ends nothing."""
    installed(monkeypatch, "google.cloud.compute_v1", MachineTypesClient=refuses)

    with pytest.raises(NotReady, match="nothing configured"):
        find_gcp_machine_types("ours")
    with pytest.raises(NotReady, match="GOOGLE_CLOUD_PROJECT"):
        find_gcp_machine_types("")


def test_oracle_is_asked_as_its_configuration_file_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """One client a region, with the tenancy of the file."""
    asked: list[object] = []
    listed = SimpleNamespace(data=[])

    def client(config: object) -> SimpleNamespace:
        asked.append(config)
        return SimpleNamespace(list_shapes="call")

    installed(
        monkeypatch,
        "oci",
        config=SimpleNamespace(from_file=lambda: {"tenancy": "ocid1", "region": "home"}),
        core=SimpleNamespace(ComputeClient=client),
        pagination=SimpleNamespace(list_call_get_all_results=lambda call, tenancy: listed),
    )

    assert find_oci_shapes()("us-ashburn-1") is listed.data
    assert asked == [{"tenancy": "ocid1", "region": "us-ashburn-1"}]


def test_oracle_without_a_configuration_is_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is the SDK's own."""
    installed(monkeypatch, "oci", config=SimpleNamespace(from_file=refuses))

    with pytest.raises(NotReady, match="nothing configured"):
        find_oci_shapes()


def test_whatever_goes_wrong_in_an_sdk_is_unavailable_with_what_was_asked() -> None:
    """Each SDK has errors of its own; here they become one of ours."""
    with pytest.raises(Unavailable, match="shapes of home failed: nothing configured") as caught:
        asyncio.run(ask("shapes of home", refuses))

    assert isinstance(caught.value.__cause__, LookupError)
