"""Asks for machines of NodeTemplates for the pods that wait, and looks after the templates themselves."""

from stratos.controllers.provisioning.controller import ProvisioningSettings, provisioning_controller

__all__ = ["ProvisioningSettings", "provisioning_controller"]
