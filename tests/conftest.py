"""Settings and servers shared by all tests."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

# Machines are shared and noisy: a slow example is no failure.
settings.register_profile("stratos", deadline=None, print_blob=True)
settings.load_profile("stratos")


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """For `aws_on_loopback`, which wipes it: a moto server takes seconds to start."""
    from stratos.testing.aws import moto_process  # most runs need nothing of it

    with moto_process() as url:
        yield url
