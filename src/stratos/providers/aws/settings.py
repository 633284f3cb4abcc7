"""What only EC2 understands of a node class, on its way from the class to a launch.

The contract carries settings as plain text, since it knows no cloud; here they have names and types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from stratos.apis.meta import Struct

BootstrapTemplate = Literal["AL2023", "AL2", "Bottlerocket"]


class AwsSettings(Struct):
    bootstrap_template: BootstrapTemplate = "AL2023"
    region: str = ""
    user_data: str = ""  # replaces what the template would generate
    user_data_type: Literal["Raw", "Template"] = "Raw"
    custom_user_data: str = ""  # goes beside what the template generates
    kubelet_extra_args: dict[str, str] = {}  # flags, without their dashes
    http_tokens: str = ""  # the metadata service; empty: as the image or the account says
    http_put_response_hop_limit: int | None = None
    http_endpoint: str = ""
    allocation_strategy: str = "price-capacity-optimized"  # of fleets of spot machines
    hibernation: bool = False

    def to_settings(self) -> dict[str, str]:
        """As the contract carries them; what is as usual is left out."""
        plain: dict[str, object] = msgspec.to_builtins(self)
        return {
            name: value if isinstance(value, str) else _JSON.encode(value).decode() for name, value in plain.items()
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> AwsSettings:
        plain = {
            field.encode_name: settings[field.encode_name]
            if isinstance(field.default, str)
            else msgspec.json.decode(settings[field.encode_name])
            for field in msgspec.structs.fields(cls)
            if field.encode_name in settings
        }
        return msgspec.convert(plain, cls)


_JSON = msgspec.json.Encoder(order="deterministic")
