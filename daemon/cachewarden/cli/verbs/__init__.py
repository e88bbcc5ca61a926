"""One module per verb, each with ``arguments(parser)`` and ``run(session) -> exit status``."""

VERBS = {
    "status": "caches, their disks, and how far each policy is from acting",
    "plan": "what a cycle would do now, and why; changes nothing",
    "run": "one cycle now: look, decide, remove",
    "purge": "remove by hand what you name",
    "relocate": "move a cache to another disk and point its tool there",
    "restore": "take a move back: the cache and the configuration as they were",
    "env": "the environment variables that say where the caches are now",
    "list": "what is in the caches, entry by entry",
    "explain": "why something stays or goes, or when and why it went",
    "history": "past cycles and what they freed",
    "doctor": "what on this machine stands in the way, each with its remedy",
    "check": "whether the configuration is right",
    "simulate": "what policies would have cost over a trace of installs",
    "daemon": "the service, in the foreground",
}
"""The verbs with what they do, in the order of the help."""
