"""What came of replays, side by side."""

from dataclasses import dataclass, replace

from cachewarden.model.policies import ActionKind, Amount, Order, Settings
from cachewarden.simulate.bound import Clairvoyant, clairvoyant
from cachewarden.simulate.replay import ByPolicy, Replayed, replay
from cachewarden.simulate.study import Study, study
from cachewarden.simulate.trace import Trace

AS_CONFIGURED = "as configured"
PURGE_ALL = "purge-all"


@dataclass(frozen=True, slots=True)
class Result:
    """``name``: ``AS_CONFIGURED``, an order, or ``PURGE_ALL``: all that may go, whenever a policy acts."""

    name: str
    replayed: Replayed

    @property
    def seconds(self) -> float:
        """Seconds that installs waited for what had been removed."""
        return self.replayed.tally.whole.seconds


@dataclass(frozen=True, slots=True)
class Report:
    """``capacity`` of the disk; ``clairvoyant`` has had the room that the results took at most (``peak``)."""

    trace: Trace
    study: Study
    capacity: int
    results: tuple[Result, ...]
    clairvoyant: Clairvoyant | None = None

    @property
    def peak(self) -> int:
        """Bytes that stood at most after a look, in any of the results."""
        return max(each.replayed.peak for each in self.results)


def report(trace: Trace, settings: Settings, capacity: Amount, *, compare: bool = False) -> Report:
    """Replays a trace under the settings; ``compare``: under each order too, and by who knows the future.

    ``capacity``: a percentage is of the bytes of all entries of the trace, each once.
    """
    studied = study(trace, interval=settings.watch.interval, link_speed=settings.link_speed)
    size = max(1, capacity.of(studied.footprint))
    results = [Result(AS_CONFIGURED, replay(studied, ByPolicy(settings), size))]
    if not compare:
        return Report(trace, studied, size, tuple(results))
    results += [Result(each.value, replay(studied, ByPolicy(in_order(settings, each)), size)) for each in Order]
    results.append(Result(PURGE_ALL, replay(studied, ByPolicy(settings, everything=True), size)))
    found = Report(trace, studied, size, tuple(results))
    return replace(found, clairvoyant=clairvoyant(studied, found.peak))


def in_order(settings: Settings, order: Order) -> Settings:
    """The settings with every purge in one order."""
    policies = tuple(
        replace(policy, order=order) if policy.action is ActionKind.PURGE else policy for policy in settings.policies
    )
    return replace(settings, policies=policies)
