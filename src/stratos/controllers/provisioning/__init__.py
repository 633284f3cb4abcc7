"""Asks for machines of NodeTemplates for the pods that wait, and looks after the templates themselves."""

from stratos.controllers.provisioning.controller import ProvisioningSettings, plan_aside, provisioning_controller
from stratos.controllers.provisioning.look import ClusterLimits

__all__ = ["ClusterLimits", "ProvisioningSettings", "plan_aside", "provisioning_controller"]
