"""Admission: pods that a template selects are told to go to its nodes, and templates that cannot be right are refused.

It keeps nothing and decides about nothing else. Where it does not answer, everything passes unmodified.
"""

from stratos.controllers.webhook.app import AdmissionWebhook
from stratos.controllers.webhook.registration import SERVICE, webhook_configurations

__all__ = ["SERVICE", "AdmissionWebhook", "webhook_configurations"]
