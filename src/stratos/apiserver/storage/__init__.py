"""Where objects are kept: one contract, and a folder of adapters that all pass the same suite."""
