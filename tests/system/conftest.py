"""What the attacks have in common: one siege for each module, whose daemon lives through all; and two homes."""

from collections.abc import Iterator

import pytest

from builders.launched import Homes, two_homes
from builders.siege import Siege


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    begun = Siege(tmp_path_factory.mktemp("siege"))
    try:
        begun.start_daemon()
        yield begun
        begun.start_over()
        begun.cycle()
        begun.is_unharmed()
    finally:
        begun.end()


@pytest.fixture
def siege(lasting: Siege) -> Iterator[Siege]:
    """ann has an empty home before; nobody else is harmed after. That bob is served all cycles show, the next too."""
    lasting.begin()
    yield lasting
    lasting.is_unharmed()


@pytest.fixture
def homes() -> Iterator[Homes]:
    """ann's is empty; bob's caches are full."""
    with two_homes() as both:
        yield both
