"""What a policy is doing, in sentences for people."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cachewarden.model.caches import Kind
from cachewarden.model.plans import Standing, State
from cachewarden.model.policies import Policy
from cachewarden.model.units import exact_span, human_bytes

_MOST = 3
"""Places told one by one; a lab server has hundreds."""


def _told(sentences: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = len(sentences) - _MOST
    return "; ".join([*sentences[:_MOST], *([f"and {more} more"] if more > 0 else [])])


def sort_of(policy: Policy) -> str:
    """``all entries of kind index or download unused for 4w2d``."""
    words = ["all entries"]
    if policy.kinds:
        words.append(f"of kind {' or '.join(kind.value for kind in Kind if kind in policy.kinds)}")
    if policy.packages:
        words.append(f"of {' or '.join(policy.packages)}")
    if policy.unused_for is not None:
        words.append(f"unused for {exact_span(policy.unused_for)}")
    return " ".join(words)


def amount(count: int, frees: int, kept: int) -> str:
    """``2 of them, 1.2 GiB; 3 must stay``."""
    words = [f"{count} of them, {human_bytes(frees)}" if count else "there are none"]
    if kept:
        words = [words[0] if count else "none may go", f"{kept} must stay"]
    return "; ".join(words)


@dataclass(slots=True)
class Outlook:
    """How a policy stands, place by place: what made it act, or how far it is from acting."""

    started: list[str] = field(default_factory=list)
    resting: list[tuple[float, str]] = field(default_factory=list)

    def standing(self, policy: Policy) -> Standing:
        """In one sentence; of the places at rest those nearest to acting."""
        if self.started:
            return Standing(policy.name, State.TRIGGERED, _told(self.started))
        nearest = [words for _, words in sorted(self.resting)]
        return Standing(policy.name, State.SATISFIED, _told(nearest) or "no cache matches")
