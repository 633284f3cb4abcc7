"""The field types of our own kinds, with the limits their CustomResourceDefinitions state."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

Duration = Annotated[
    str,
    Meta(pattern=r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$", description="A duration, such as 90s, 5m or 1h30m."),
]
NonEmpty = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=0)]


def described(description: str, **limits: Any) -> Meta:
    """A field's description, with its limits, as it appears in the CRD and in the reference."""
    return Meta(description=description, **limits)


def rules(*expressions_and_messages: tuple[str, str]) -> Meta:
    """CEL rules over the field's value, each with the message a user sees when it does not hold."""
    return Meta(
        extra_json_schema={
            "x-kubernetes-validations": [
                {"rule": expression, "message": message} for expression, message in expressions_and_messages
            ]
        }
    )
