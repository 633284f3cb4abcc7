"""Which nodes may go or be replaced, and in which order, so that nobody who uses them notices."""
