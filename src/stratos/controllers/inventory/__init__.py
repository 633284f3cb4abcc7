"""Finds machines that no claim knows, and ends them: nobody would use them, and somebody would pay."""

from stratos.controllers.inventory.inventory import Inventory

__all__ = ["Inventory"]
