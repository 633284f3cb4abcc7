"""Settings shared by all tests."""

from hypothesis import settings

# The shared machines are noisy: a slow example is no failure. Examples are drawn anew each run unless CI says otherwise.
settings.register_profile("stratos", deadline=None, print_blob=True)
settings.load_profile("stratos")
