"""DaemonSets: one pod on every node that fits, pinned there so that the ordinary scheduler binds it."""
