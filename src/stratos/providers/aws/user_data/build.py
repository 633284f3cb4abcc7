"""Put user data together by bootstrap template, or from what a class brings itself, and see that EC2 will take it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stratos.base.errors import FieldProblem, Invalid
from stratos.providers.aws.cluster_access import ClusterAccess
from stratos.providers.aws.settings import AwsSettings
from stratos.providers.aws.user_data import go_template
from stratos.providers.aws.user_data.amazon_linux import bootstrap_script, node_config
from stratos.providers.aws.user_data.bottlerocket import bottlerocket_settings
from stratos.providers.aws.user_data.kubelet import labels_for_kubelet, taint_text
from stratos.providers.aws.user_data.multipart import NODE_CONFIG, SHELL_SCRIPT, Part, joined, parts_of
from stratos.providers.aws.user_data.prepare import prepare_script
from stratos.providers.contract import Bootstrap

LIMIT_BYTES = 16 * 1024  # as EC2 counts: before base64


def user_data(bootstrap: Bootstrap, settings: AwsSettings, cluster: ClusterAccess) -> str:
    """Not yet in base64. Raises `Invalid` for what cannot be carried out, and when it is longer than EC2 takes."""
    if settings.user_data:
        parts: Sequence[Part] = (Part("userData", "", _own(bootstrap, settings)),)
        text = parts[0].text
    elif settings.bootstrap_template == "Bottlerocket":
        text = bottlerocket_settings(bootstrap, settings, cluster)
        parts = (Part("customUserData", "", settings.custom_user_data), Part("the cluster's settings", "", text))
    else:
        parts = tuple(_amazon_linux_parts(bootstrap, settings, cluster))
        text = joined(parts)
    _check_length(text, parts)
    return text


def _own(bootstrap: Bootstrap, settings: AwsSettings) -> str:
    if settings.user_data_type == "Raw":
        return settings.user_data
    data = {
        "Labels": labels_for_kubelet(bootstrap.node_labels),
        "Taints": [taint_text(taint) for taint in bootstrap.node_taints],
        "MaxPods": bootstrap.max_pods or 0,
    }
    try:
        return go_template.render(settings.user_data, data)
    except Invalid as error:
        message = f"spec.userData: {error.message}"
        problem = FieldProblem("spec.userData", "FieldValueInvalid", error.message)
        raise Invalid(message, problems=(problem,), hint=error.hint) from error


def _amazon_linux_parts(bootstrap: Bootstrap, settings: AwsSettings, cluster: ClusterAccess) -> Iterable[Part]:
    """Custom parts run before the node joins. On Amazon Linux 2023 nodeadm sees to that by itself."""
    custom: list[Part] = []
    for name, text in (("customUserData", settings.custom_user_data), ("the script", bootstrap.extra_script)):
        if text:
            custom += parts_of(name, text)
    if settings.bootstrap_template == "AL2023":
        yield Part("the node's configuration", NODE_CONFIG, node_config(bootstrap, settings, cluster))
        yield from custom
    else:
        yield from custom
        yield Part("the node's configuration", SHELL_SCRIPT, bootstrap_script(bootstrap, settings, cluster))
    prepare = prepare_script(bootstrap, cluster, settings.region)
    if prepare:
        yield Part("preparation and images", SHELL_SCRIPT, prepare)


def _check_length(text: str, parts: Iterable[Part]) -> None:
    length = len(text.encode())
    if length <= LIMIT_BYTES:
        return
    by_size = sorted(((len(part.text.encode()), part.name) for part in parts), reverse=True)
    raise Invalid(
        f"user data is {length} bytes long, {length - LIMIT_BYTES} more than the {LIMIT_BYTES} that EC2 takes",
        looked_at=tuple(f"{name}: {size} bytes" for size, name in by_size if size),
        hint="fetch what is long from a bucket when the machine boots, or build it into the machine image",
    )
