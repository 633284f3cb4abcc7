"""What to do about machines that the cloud is about to take back, or advises to leave. Pure decisions."""

from stratos.planning.interruptions.plan import plan_interruption

__all__ = ["plan_interruption"]
