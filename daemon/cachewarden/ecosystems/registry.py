"""The ecosystems there are. To add one: a class of the shape of ``base.Ecosystem``, and a line here."""

from cachewarden.ecosystems.base import Ecosystem
from cachewarden.ecosystems.conda import Conda
from cachewarden.ecosystems.pip import Pip

ECOSYSTEMS: tuple[Ecosystem, ...] = (Pip(), Conda())


def by_name(name: str) -> Ecosystem:
    """Raises KeyError for a name that is not there."""
    return {ecosystem.name: ecosystem for ecosystem in ECOSYSTEMS}[name]
