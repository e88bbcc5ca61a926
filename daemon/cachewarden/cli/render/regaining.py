"""How what is gone comes back, on screens and in JSON."""

from collections.abc import Iterator

from cachewarden.cli.render.blocks import Block, Line
from cachewarden.model.regaining import Lost, WayBack, way_back
from cachewarden.system.memory import PastRemoval


def of(removal: PastRemoval) -> WayBack:
    """The way back of a removal of the history."""
    return way_back(
        Lost(removal.ecosystem, removal.kind, removal.name, removal.version, removal.path, removal.regain)
    )


def lines(removal: PastRemoval) -> Iterator[Block]:
    """A sentence, and the command in one piece to be copied; it is the owner's to run."""
    back = of(removal)
    yield Line(f"to get it back: {back.text}", indent=2)
    if back.command:
        yield Line(f"by hand, as {removal.owner}, from what the index has:", indent=2)
        yield Line(back.command, indent=4, whole=True)


def document(removal: PastRemoval) -> dict[str, object]:
    """``regain`` as it was noted (``null``: it was not), ``how_back`` with the command or ``null``."""
    back = of(removal)
    return {
        "regain": removal.regain.value if removal.regain else None,
        "how_back": {"text": back.text, "command": back.command},
    }
