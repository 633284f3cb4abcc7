"""Takes machines of NodeTemplates out of service when they are empty, little used, too dear, too old or broken."""

from stratos.controllers.disruption.controller import DisruptionSettings, disruption_controller, plan_aside

__all__ = ["DisruptionSettings", "disruption_controller", "plan_aside"]
