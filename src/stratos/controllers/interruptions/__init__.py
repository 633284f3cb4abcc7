"""Hears that the cloud takes machines back, notes it in their claims, and lets their pods go in time."""

from stratos.controllers.interruptions.controller import interruption_controller

__all__ = ["interruption_controller"]
