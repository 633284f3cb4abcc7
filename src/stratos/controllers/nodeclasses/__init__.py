"""Looks up what node classes mean in the cloud, and keeps a class that is in use from being deleted."""

from stratos.controllers.nodeclasses.controller import node_class_controller

__all__ = ["node_class_controller"]
