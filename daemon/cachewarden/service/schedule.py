"""When to look: the interval and the cron policies. APScheduler only rings; the main loop samples the disks."""

import logging
from collections.abc import Callable
from typing import Any

from cachewarden.model.policies import Settings
from cachewarden.settings import cron
from cachewarden.system import lean

_LONGEST_INTERVAL = 10 * 365 * 86_400


class Schedule:
    """Rings ``interval`` and ``cron``; coalesced, each at most once at a time."""

    def __init__(self, ring: Callable[[str], None]) -> None:
        """``ring`` is called in APScheduler's thread and must return at once."""
        self._ring = ring
        self._scheduler: Any = None

    def start(self, settings: Settings) -> None:
        """(Re)starts with the times of ``settings``."""
        lean.load_scheduler()
        from apscheduler.executors.debug import DebugExecutor
        from apscheduler.schedulers.background import BackgroundScheduler
        from apscheduler.triggers.interval import IntervalTrigger

        self.stop()
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        # Ringing takes no time: it needs no thread beside the scheduler's own.
        scheduler = BackgroundScheduler(executors={"default": DebugExecutor()}, job_defaults=defaults, daemon=True)
        interval = min(settings.watch.interval, _LONGEST_INTERVAL)
        scheduler.add_job(self._ring, IntervalTrigger(seconds=interval), args=["interval"])
        for schedule in sorted({policy.schedule for policy in settings.policies if policy.schedule}):
            scheduler.add_job(self._ring, cron.trigger(schedule), args=["cron"])
        scheduler.start()
        self._scheduler = scheduler

    def stop(self) -> None:
        """Ends its threads."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None
