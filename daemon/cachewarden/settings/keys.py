"""The table of keys: what may be written in a policy file, its bounds, default and meaning.

Parsing, the JSON schema and the reference page all come from here; nothing else knows a key's name.
"""

from cachewarden.model.units import Seconds
from cachewarden.settings import amounts, cron, words
from cachewarden.settings.shapes import Choice, Constant, Flag, Key, ListOf, Parsed, Section
from cachewarden.settings.vocabulary import ACTIONS, ECOSYSTEMS, KINDS, METHODS, OFFLINE, ORDERS, OTHERWISE, SPACES

_SIZE_OR_SHARE = Parsed(
    'a size ("2 GiB") or a share of the filesystem ("10%")',
    amounts.size_or_share,
    f"{amounts.SIZE_PATTERN}|{amounts.SHARE_PATTERN}",
    ("10%", "2 GiB", "500 MB"),
    numbers=True,
)
_COUNT_OR_SHARE = Parsed(
    'a number of inodes (5000) or a share of the filesystem ("5%")',
    amounts.count_or_share,
    f"{amounts.COUNT_PATTERN}|{amounts.SHARE_PATTERN}",
    ("5%", "5000"),
    numbers=True,
    number_type=True,
)
_PACKAGE = Parsed(
    'a package ("torch*" or "numpy==1.26.*")', words.package_glob, words.PACKAGE_PATTERN, ("torch*", "numpy==1.26.*")
)
_OWNER = Parsed("a user name", words.owner_name, words.OWNER_PATTERN, ("pi",))
_ECOSYSTEM = Choice(ECOSYSTEMS)


def _at_least(seconds: int, text: str) -> Seconds:
    found = amounts.duration(text)
    if found < seconds:
        raise ValueError(f"at least {seconds}s")
    return found


def _any_duration(text: str) -> Seconds:
    return _at_least(0, text)


def _some_duration(text: str) -> Seconds:
    return _at_least(1, text)


def _duration(*examples: str, positive: bool) -> Parsed[Seconds]:
    parse = _some_duration if positive else _any_duration
    pattern = f"(?=.*{'[1-9]' if positive else '[0-9]'}){amounts.DURATION_PATTERN}"
    quoted = " or ".join(f'"{example}"' for example in examples)
    return Parsed(f"a duration ({quoted})", parse, pattern, examples, numbers=True)


VERSION = Key("version", Constant(1), "The version of this language.", required=True)
"""Required in the main file, optional in drop-ins."""

INTERVAL = Key(
    "interval",
    _duration("5m", "1h30m", positive=True),
    "A cycle at least this often. What a watcher vouches for is looked at once an hour, what did not change is "
    "walked again once a day, and both before anything goes.",
    default="5m",
)
REACT = Key(
    "react",
    Flag(),
    "Whether file events and a fast-filling disk bring the next look forward.",
    default="true",
)
HORIZON = Key(
    "horizon",
    _duration("7d", "2w", positive=False),
    "Warn in the journal, once, when a disk is expected to fill within this time in spite of the policies. `0s` "
    "never warns.",
    default="7d",
)
TRACE = Key(
    "trace",
    Flag(),
    "Whether what installs use is recorded in the state folder (`trace.jsonl`, at most twice 16 MiB), for "
    "`cachewarden simulate`. No user is named in it.",
    default="false",
)
TRACE_NAMES = Key(
    "trace_names",
    Flag(),
    "Whether packages have their names in that record; `false` writes hashes instead.",
    default="true",
)
WATCH_SECTION = Section((INTERVAL, REACT, HORIZON, TRACE, TRACE_NAMES), expected="a mapping ({interval: 5m})")
WATCH = Key("watch", WATCH_SECTION, "When to look.")

OWNERS = Key(
    "owners",
    ListOf(_OWNER, "auto or a list of user names", filled=True, word="auto"),
    "Whose caches are looked after: every login user with a home, root, and the owners of system-wide conda "
    "installations (`auto`), or only these.",
    default="auto",
)

CACHE_ECOSYSTEM = Key("ecosystem", _ECOSYSTEM, "Which tool the cache belongs to.", required=True)
CACHE_PATH = Key(
    "path",
    Parsed("an absolute path", words.absolute_path, words.ABSOLUTE_PATTERN, ("/data/pkgs",)),
    "The cache's root folder.",
    required=True,
)
CACHE_SECTION = Section((CACHE_ECOSYSTEM, CACHE_PATH), expected="a cache ({ecosystem: conda, path: /data/pkgs})")
CACHES = Key(
    "caches",
    ListOf(CACHE_SECTION, "a list of caches"),
    "Caches that cannot be found by themselves.",
    default="[]",
)

NEWER_THAN = Key(
    "newer_than",
    _duration("1h", "2d", positive=False),
    "What was written more recently than this stays. `0s` keeps nothing for its age.",
    default="1h",
)
PACKAGES = Key(
    "packages",
    ListOf(_PACKAGE, "a list of packages"),
    "Packages that stay: globs over the name, or over both sides of `name==version`.",
    default="[]",
)
VERSIONS = Key(
    "versions",
    Parsed(
        "a number of versions from 0 to 1000",
        words.few,
        words.FEW_PATTERN,
        ("1", "2"),
        numbers=True,
        number_type=True,
    ),
    "So many of the newest versions of each package stay in each cache that has them.",
    default="0",
)
KEEP_SECTION = Section((NEWER_THAN, PACKAGES, VERSIONS), expected="a mapping ({newer_than: 1h})")
KEEP = Key("keep", KEEP_SECTION, "What no policy may touch.")

LINK_SPEED = Key(
    "link_speed",
    Parsed(
        'a speed ("2 MB/s" or "16 Mbit/s")', amounts.speed, amounts.SPEED_PATTERN, ("2 MB/s", "16 Mbit/s", "500 kB/s")
    ),
    "How fast this machine downloads: what `cheapest-first` reckons with.",
    default="2 MB/s",
)
OFFLINE_KEY = Key(
    "offline",
    Choice(OFFLINE),
    "What may go while this machine has no way to any network (no default route).",
    default="as-usual",
)

NAME = Key(
    "name",
    Parsed("a name of letters, digits, . _ -", words.policy_name, words.NAME_PATTERN, ("keep-disk-free",)),
    "What the policy is called in plans, the journal and the history. No two policies may share one.",
    required=True,
)
MATCH_ECOSYSTEM = Key(
    "ecosystem",
    ListOf(_ECOSYSTEM, f"{_ECOSYSTEM.expected}, or a list of them", single=True, filled=True),
    "Only caches of these tools.",
    default="every ecosystem",
)
MATCH_OWNER = Key(
    "owner",
    ListOf(_OWNER, "a user name or a list of them", single=True, filled=True),
    "Only caches of these users.",
    default="every owner",
)
MATCH_PATH = Key(
    "path",
    ListOf(
        Parsed(
            'an absolute path or glob ("/home/*/.cache/pip")',
            words.path_glob,
            words.ABSOLUTE_PATTERN,
            ("/home/*/.cache/pip",),
        ),
        "an absolute path, a glob or a list of them",
        single=True,
        filled=True,
    ),
    "Only caches whose root is here; `*` does not cross a `/`, `**` does.",
    default="every path",
)
MATCH_SECTION = Section((MATCH_ECOSYSTEM, MATCH_OWNER, MATCH_PATH), expected="a mapping ({ecosystem: pip})")
MATCH = Key(
    "match", MATCH_SECTION, "Which caches the policy looks at; all keys in it must hold.", default="every cache"
)

FREE_BELOW = Key("below", _SIZE_OR_SHARE, "Act when less than this is free.", required=True)
FREE_UNTIL = Key("until", _SIZE_OR_SHARE, "Stop when this much is free.", default="the value of `below`")
FREE_OF = Key("of", Choice(SPACES), "Whose free space it is, and of what a share is.", default="filesystem")
FREE_SPACE_SECTION = Section((FREE_BELOW, FREE_UNTIL, FREE_OF), expected="a mapping ({below: 10%, until: 15%})")
FREE_SPACE = Key(
    "free_space",
    FREE_SPACE_SECTION,
    "Free space of the filesystem the cache is on, as an ordinary user can get it, or of the owner's quota there.",
)

INODES_BELOW = Key("below", _COUNT_OR_SHARE, "Act when fewer than this are free.", required=True)
INODES_UNTIL = Key("until", _COUNT_OR_SHARE, "Stop when this many are free.", default="the value of `below`")
FREE_INODES_SECTION = Section((INODES_BELOW, INODES_UNTIL), expected="a mapping ({below: 5%, until: 10%})")
FREE_INODES = Key(
    "free_inodes",
    FREE_INODES_SECTION,
    "Free inodes of the filesystem the cache is on. Filesystems without a fixed number never match.",
)

SIZE_ABOVE = Key("above", _SIZE_OR_SHARE, "Act when the cache takes more than this.", required=True)
SIZE_UNTIL = Key("until", _SIZE_OR_SHARE, "Stop when it takes this much.", default="the value of `above`")
SIZE_SECTION = Section((SIZE_ABOVE, SIZE_UNTIL), expected="a mapping ({above: 2 GiB, until: 1 GiB})")
SIZE = Key(
    "size", SIZE_SECTION, "Size of each matching cache on the disk; a share is of the filesystem, not of the cache."
)

SCHEDULE = Key(
    "schedule",
    Parsed(
        'a schedule of five cron fields ("0 4 * * sun")',
        cron.normalise,
        r" *[^ ]+( +[^ ]+){4} *",
        ("0 4 * * sun", "*/30 * * * *"),
    ),
    "When the policy is looked at: minute, hour, day of the month, month and day of the week as in crontab, in local "
    "time. 0 and 7 are Sunday.",
    default="every cycle",
)
UNUSED_FOR = Key("unused_for", _duration("60d", "8w", positive=True), "Only entries that nobody used for this long.")
KINDS_KEY = Key(
    "kinds",
    ListOf(Choice(KINDS), "a list of kinds", filled=True),
    "Only entries of these kinds, which must be kinds of the ecosystem matched.",
    default="every kind",
)
ORDER = Key("order", Choice(ORDERS), "Which entry goes first.", default="cheapest-first")
ACTION = Key(
    "action",
    Choice(ACTIONS),
    "What to do.",
    required=True,
)
TO = Key(
    "to",
    Parsed(
        'a destination ("/media/usb/cache/{owner}/conda")',
        words.destination,
        words.DESTINATION_PATTERN,
        ("/media/usb/cache/{owner}/{ecosystem}",),
    ),
    "Where to move the cache, with `action: relocate` and only then. `{owner}` and `{ecosystem}` are filled in; "
    "where several caches match, they keep them apart.",
)
METHOD_KEY = Key(
    "method",
    Choice(METHODS),
    "How the tool is told of the new place, with `action: relocate` only: by its own configuration, or by a symbolic "
    "link at the old place, for where other configuration overrides the user's.",
    default="config",
)
OTHERWISE_KEY = Key(
    "otherwise",
    Choice(OTHERWISE),
    "What to do when the destination is missing or unfit, with `action: relocate` only.",
    default="report",
)
POLICY_SECTION = Section(
    (
        NAME, MATCH, FREE_SPACE, FREE_INODES, SIZE, SCHEDULE, UNUSED_FOR, KINDS_KEY, ORDER, ACTION, TO, METHOD_KEY,
        OTHERWISE_KEY,
    ),
    expected="a policy (a mapping with name and action)",
    rules=(
        {
            "if": {"properties": {"action": {"const": "relocate"}}, "required": ["action"]},
            "then": {"required": ["to"]},
            "else": {"properties": {"to": False, "method": False, "otherwise": False}},
        },
    ),
)  # fmt: skip
POLICIES = Key(
    "policies",
    ListOf(POLICY_SECTION, "a list of policies"),
    "The rules, in order; each sees what those before it will have freed. All conditions of one must hold.",
    default="[]",
)

_BODY = (WATCH, OWNERS, CACHES, KEEP, LINK_SPEED, OFFLINE_KEY, POLICIES)
MAIN = Section((VERSION, *_BODY), expected="a mapping that begins with version: 1")
"""A whole file."""
DROP_IN = Section(
    (Key("version", VERSION.shape, VERSION.doc), *_BODY), expected="a mapping with keys such as policies"
)
"""A file that adds to another."""
