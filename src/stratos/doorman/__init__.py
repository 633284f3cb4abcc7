"""The doorman: holds requests for services that sleep, wakes them, and lets the requests through.

`Doorman` follows the cluster and decides who may pass; `proxy` is the HTTP around it. What is decided is decided in
``planning.doorman``.
"""

from stratos.doorman.doorman import Doorman, DoormanSettings
from stratos.doorman.gate import Backend, RoomLimits, TurnedAway
from stratos.doorman.proxy.server import own_address, serving
from stratos.doorman.proxy.upstream import Resolve

__all__ = ["Backend", "Doorman", "DoormanSettings", "Resolve", "RoomLimits", "TurnedAway", "own_address", "serving"]
