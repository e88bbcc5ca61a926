"""Every error of ours.

CachewardenError
├── ConfigError      the configuration is wrong; all problems at once      exit 78
├── UsageError       the command line is wrong                             exit 2
├── BusyError        another cycle or instance is at work                  exit 75
├── RefusedError     a path that must not be treated as a cache
└── WorkerError      a worker died, lied, or took too long: one owner's cycle
"""


class CachewardenError(Exception):
    """The root; its text is for people and says what to do."""


class ConfigError(CachewardenError):
    """One or more problems of the configuration, each ``FILE:LINE:COLUMN: path.of.key: expected …, got …``."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        """``problems``: one line each, in the order of the files."""
        super().__init__("\n".join(problems))
        self.problems = problems


class UsageError(CachewardenError):
    """A command that cannot be understood or would be unsafe as given."""


class BusyError(CachewardenError):
    """Somebody else holds the lock; trying later is the remedy."""


class RefusedError(CachewardenError):
    """A path that is not to be treated as a cache."""


class WorkerError(CachewardenError):
    """A worker that broke the protocol, died or overran its time."""
