"""Everything that a cluster needs to run Stratos, built as plain objects from one set of values.

`stratos install` applies them, and the Helm chart is generated from the same functions, so the two cannot differ.
"""

from stratos.wiring.installation.parts import Part, installation
from stratos.wiring.installation.values import Values

__all__ = ["Part", "Values", "installation"]
