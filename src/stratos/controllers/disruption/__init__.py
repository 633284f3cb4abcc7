"""Takes machines of NodeTemplates out of service when they are empty, little used, too dear, too old or broken."""

from stratos.controllers.disruption.controller import disruption_controller

__all__ = ["disruption_controller"]
