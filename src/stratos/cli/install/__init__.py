"""``stratos install`` and ``stratos uninstall``: Stratos on a cluster that is there already, without Helm."""
