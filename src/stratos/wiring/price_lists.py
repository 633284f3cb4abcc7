"""Which price lists can be read from here: the public ones always, the rest with what the environment grants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from stratos.base.clock import Clock
from stratos.base.errors import NotReady
from stratos.providers.prices.aws import AwsPrices
from stratos.providers.prices.aws_account import AwsAccount, find_aws_session
from stratos.providers.prices.azure import AzurePrices
from stratos.providers.prices.azure_account import AzureAccount, find_azure_skus
from stratos.providers.prices.gcp import GcpPrices
from stratos.providers.prices.gcp_account import GcpAccount, find_gcp_machine_types
from stratos.providers.prices.oci import OciPrices
from stratos.providers.prices.oci_account import OciAccount, find_oci_shapes
from stratos.providers.prices.source import PriceSource
from stratos.providers.prices.web import Web

T = TypeVar("T")

_SOURCES: Mapping[str, Callable[[Web, Clock, Mapping[str, str]], PriceSource]] = {
    "aws": lambda web, clock, _: AwsPrices(web, clock, _or_why_not(lambda: AwsAccount(find_aws_session()))),
    "azure": lambda web, clock, env: AzurePrices(
        web, clock, _or_why_not(lambda: AzureAccount(find_azure_skus(env.get("AZURE_SUBSCRIPTION_ID"))))
    ),
    "gcp": lambda web, clock, env: GcpPrices(
        web, clock, env.get("GOOGLE_API_KEY"), _or_why_not(lambda: _gcp_account(env.get("GOOGLE_CLOUD_PROJECT", "")))
    ),
    "oci": lambda web, clock, _: OciPrices(web, clock, _or_why_not(lambda: OciAccount(find_oci_shapes()))),
}
CLOUDS = tuple(_SOURCES)


def price_source(cloud: str, web: Web, clock: Clock, env: Mapping[str, str]) -> PriceSource:
    """The adapter of one of `CLOUDS`, with an account if there is one."""
    return _SOURCES[cloud](web, clock, env)


def _gcp_account(project: str) -> GcpAccount:
    return GcpAccount(find_gcp_machine_types(project), project)


def _or_why_not(find: Callable[[], T]) -> T | str:
    try:
        return find()
    except NotReady as error:
        return error.message
