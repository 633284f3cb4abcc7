"""Settings shared by all tests."""

from hypothesis import settings

# Machines are shared and noisy: a slow example is no failure.
settings.register_profile("stratos", deadline=None, print_blob=True)
settings.load_profile("stratos")
