"""Asks for machines of NodeTemplates for the pods that wait, and looks after the templates themselves."""

from stratos.controllers.provisioning.controller import ProvisioningSettings, plan_aside, provisioning_controller

__all__ = ["ProvisioningSettings", "plan_aside", "provisioning_controller"]
