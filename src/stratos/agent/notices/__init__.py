"""What a host hears of its own machine, told to the controllers by an annotation of its node."""

from stratos.agent.notices.metadata import InstanceMetadata, MetadataUnavailable
from stratos.agent.notices.watch import watch_notices

__all__ = ["InstanceMetadata", "MetadataUnavailable", "watch_notices"]
