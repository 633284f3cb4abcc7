"""What clouds call their zones, and which region is meant when none is named.

The tables keep only what tells one zone of a region from the next. AWS hides which data centre is behind a zone's
letter from one customer to the next; there the tables count zones by their fixed number, and the first is ``a``.
"""

from __future__ import annotations

# Large, old regions with nearly everything a cloud sells.
DEFAULT_REGIONS = {"aws": "us-west-2", "azure": "eastus", "gcp": "us-central1", "oci": "us-ashburn-1"}


def zone_name(cloud: str, region: str, short: str) -> str:
    """The zone as the nodes in it are labelled (``topology.kubernetes.io/zone``)."""
    match cloud:
        case "aws":
            return region + chr(ord("a") + int(short.removeprefix("az")) - 1)
        case "oci":
            return f"{region.rpartition('-')[0].upper()}-AD-{short}"
        case _:
            return f"{region}-{short}"
