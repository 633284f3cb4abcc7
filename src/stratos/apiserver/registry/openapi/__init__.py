"""The served kinds as OpenAPI documents: v3 by group version, and v2 in one piece.

Clients ask them which fields there are (``kubectl explain``), how lists merge (``kubectl apply``) and whether the
server validates fields itself. They are built when somebody asks, and kept until the kinds change.
"""

from stratos.apiserver.registry.openapi.documents import OpenApi

__all__ = ["OpenApi"]
