"""What the user asked for, as the NodeTemplate that a cluster would need to decide the same."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stratos.apis.nodetemplate import NodeTemplateSpec
from stratos.base.errors import Invalid
from stratos.base.quantity import parse_quantity
from stratos.planning.provisioning.annotations import compile_regexp

_TERMS = {"on-demand": ["on-demand"], "spot": ["spot"], "both": ["on-demand", "spot"]}
_SHAPE = ("binPackingNodeCpu", "binPackingNodeMemory", "binPackingNodeGPU", "binPackingNodeMinPodCount")
_STRATEGIES = ("thresholds", "optimal")
_ARCHITECTURES = ("amd64", "arm64")


def _quantity(text: str) -> str:
    if parse_quantity(text) < 0:
        raise Invalid(f"{text!r} is less than nothing", hint="write 0 or more, such as 4 or 16Gi")
    return text


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise Invalid(f"{text!r} is not a whole number", hint="write one such as 2") from error


def _decimal(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise Invalid(f"{text!r} is not a number", hint="write one such as 0.5") from error


def _regexp(text: str) -> str:
    compile_regexp(text)
    return text


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


_LUNA: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "binSelectPodCpuThreshold": ("binSelection.podCpuThreshold", _quantity),
    "binSelectPodMemoryThreshold": ("binSelection.podMemoryThreshold", _quantity),
    "binSelectPodGPUThreshold": ("binSelection.podGPUThreshold", _whole),
    "binPackingNodeCpu": ("binPacking.nodeCpu", _quantity),
    "binPackingNodeMemory": ("binPacking.nodeMemory", _quantity),
    "binPackingNodeGPU": ("binPacking.nodeGPU", _whole),
    "binPackingNodeMinPodCount": ("binPacking.nodeMinPodCount", _whole),
    "binPackingNodeTypeRegexp": ("binPacking.nodeTypeRegexp", _regexp),
    "binPackingNodePricing": ("binPacking.nodePricing", _names),
    "nvidiaGPUTimeSlices": ("nvidiaGPUTimeSlices", _whole),
    "spotPriceRatioEstimate": ("spotPriceRatioEstimate", _decimal),
    "aws.maxSpotPriceRatio": ("constraints.maxSpotPriceRatio", _decimal),
    "aws.maxSpotInterruptBucket": ("constraints.maxSpotInterruptBucket", _whole),
}

_WITHOUT_EFFECT = (
    *("aws.useSpotAdvisor", "aws.blockDeviceMappings", "aws.subnets", "aws.securityGroups", "aws.nodeInstanceProfile"),
    *("aws.amiIdGeneric", "aws.userDataType", "aws.userData", "gcp.diskSizeGb", "scaleUpTimeout", "clusterGPULimit"),
    *("placeNodeSelector", "webhookConfigPrefix", "cloudProvider", "clusterID"),
    *("imagePullSecretName", "labels", "podAnnotations", "nodeTTL", "scaleDown.nodeUnneededDuration"),
    *("scaleDown.binPackNodeUtilizationThreshold", "scaleDown.binSelectNodeUtilizationThreshold"),
    *("manageHighUtilization.enabled", "manageHighUtilization.loopPeriod", "manageHighUtilization.yellowCPU"),
    *("manageHighUtilization.yellowMemory", "manageHighUtilization.redCPU", "manageHighUtilization.redMemory"),
    *("manageHighUtilization.greenCPU", "manageHighUtilization.greenMemory"),
)
"""They say how a cluster is run and change no price: a configuration can be handed over as it is."""

_MEANINGS: Mapping[str, Callable[[str], object]] = {
    **{name: meaning for name, (_, meaning) in _LUNA.items()},
    **dict.fromkeys(_WITHOUT_EFFECT, str),
    "pendingPodReasonRegexp": _regexp,  # without effect, too, but a cluster would refuse one that is malformed
}


def luna_option(flag: str) -> str | None:
    """The option of Luna's that a flag such as ``--bin-packing-node-cpu`` means; None: none of them."""
    return _BY_FLAG.get(_letters(flag))


def _letters(name: str) -> str:
    return name.replace("-", "").replace(".", "").lower()


_BY_FLAG = {_letters(name): name for name in _MEANINGS}
_BY_FLAG |= {_letters(name.partition(".")[2]): name for name in _LUNA if "." in name}


@dataclass(frozen=True, slots=True)
class EstimateOptions:
    """The options of the command, as they were given."""

    pricing: str = "on-demand"
    strategy: str = "thresholds"
    architectures: str = "amd64"
    spot_advisor: Path | None = None
    settings: tuple[str, ...] = ()  # KEY=VALUE, with Luna's names

    @property
    def mixes_small_pods(self) -> bool:
        """Nobody said what shared nodes are like: the cheapest mix is the best answer then."""
        return not any(setting.partition("=")[0] in _SHAPE for setting in self.settings)

    @property
    def states_spot_prices(self) -> bool:
        """Then the catalog's own do not count."""
        return self.spot_advisor is not None or any(
            setting.partition("=")[0] == "spotPriceRatioEstimate" for setting in self.settings
        )

    def template(self) -> NodeTemplateSpec:
        """Raises `Invalid` naming the option that has no meaning."""
        terms = _TERMS[_choice("--pricing", self.pricing, _TERMS)]
        document: dict[str, Any] = {
            "nodeClassRef": {"kind": "SimNodeClass", "name": "estimate"},
            "isDefault": True,
            "strategy": _choice("--strategy", self.strategy, _STRATEGIES),
            "constraints": {
                "spot": "spot" in terms,
                "onDemand": "on-demand" in terms,
                "architectures": [_choice("--arch", name, _ARCHITECTURES) for name in _names(self.architectures)],
            },
            "binPacking": {"nodePricing": terms},
        }
        given = {}
        for setting in self.settings:
            option, value = _setting(setting)
            if option in _LUNA:
                path, _ = _LUNA[option]
                section, _, name = path.rpartition(".")
                (document.setdefault(section, {}) if section else document)[name] = value
                given[path] = f"--option {setting}"
        try:
            return msgspec.convert(document, NodeTemplateSpec)
        except msgspec.ValidationError as error:
            problem, _, place = str(error).partition(" - at `$.")
            path = place.rstrip("`").partition("[")[0]
            raise Invalid(
                f"{given.get(path, path)}: {problem[0].lower()}{problem[1:]}",
                hint="options mean what the NodeTemplate's fields of these names do",
            ) from error


def _choice(option: str, value: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    if value not in known:
        raise Invalid(f"{option} {value!r} is not known", hint=f"choose one of {', '.join(known)}")
    return value


def _setting(setting: str) -> tuple[str, object]:
    """Of ``KEY=VALUE``, the option and what is meant."""
    option, equals, text = setting.partition("=")
    if not equals:
        raise Invalid(f"--option {setting}: it has no value", hint=f"write --option {setting}=VALUE")
    if option not in _MEANINGS:
        close = difflib.get_close_matches(option, _MEANINGS, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(_LUNA)}"
        raise Invalid(f"--option {option}: there is no such option", hint=hint)
    try:
        return option, _MEANINGS[option](text)
    except Invalid as error:
        raise Invalid(f"--option {option}: {error.message}", hint=error.hint) from error
