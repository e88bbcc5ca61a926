"""One module per verb, each with ``arguments(parser)`` and ``run(session) -> exit status``."""

VERBS = {
    "status": "caches, their disks, and how far each policy is from acting",
    "plan": "what a cycle would do now, and why; changes nothing",
    "run": "one cycle now: look, decide, remove",
    "purge": "remove by hand what you name",
    "list": "what is in the caches, entry by entry",
    "explain": "why something stays or goes, or when and why it went",
    "history": "past cycles and what they freed",
    "doctor": "what on this machine stands in the way, each with its remedy",
    "check": "whether the configuration is right",
    "daemon": "the service, in the foreground",
}
"""The verbs with what they do, in the order of the help."""
