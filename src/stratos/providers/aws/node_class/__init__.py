"""What an AWSNodeClass means in an account: its images, subnets, security groups and instance profile, looked up."""

from stratos.providers.aws.node_class.profile import release_node_class
from stratos.providers.aws.node_class.resolve import resolve_node_class

__all__ = ["release_node_class", "resolve_node_class"]
