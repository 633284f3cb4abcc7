"""What a machine is told for its first boot: how to join its cluster, and what to prepare before it stands by."""

from stratos.providers.aws.user_data.build import LIMIT_BYTES, user_data

__all__ = ["LIMIT_BYTES", "user_data"]
