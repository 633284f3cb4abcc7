"""Clouds. ``contract`` says what every cloud must do; each other folder is one cloud, and knows only the contract."""
