"""Pure decisions: a snapshot comes in, a plan goes out. No IO, no clock of its own."""
