"""The policy language: what is understood, and every mistake in the words an administrator reads."""
# ruff: noqa: E501  # a mistake and its message stand on one line

import errno
from textwrap import dedent

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as some

from cachewarden.model.caches import Kind
from cachewarden.model.errors import ConfigError
from cachewarden.model.policies import (
    ActionKind,
    Amount,
    ExtraCache,
    Keep,
    Marks,
    Match,
    Offline,
    Order,
    Policy,
    Settings,
    Watch,
)
from cachewarden.model.units import Bytes, Seconds
from cachewarden.settings.loader import check_file, load
from fakes import FakeFiles

FOLDER = "/etc/cachewarden"
SIZE = 'a size ("2 GiB") or a share of the filesystem ("10%")'
POLICY = """\
version: 1
policies:
  - name: a
    action: purge
"""


def parse(text: str) -> Settings:
    return load(FakeFiles({"/c": dedent(text)}), config="/c", folder=FOLDER)


def problems(text: str | bytes | OSError) -> list[str]:
    content = dedent(text) if isinstance(text, str) else text
    with pytest.raises(ConfigError) as caught:
        load(FakeFiles({"/c": content}), config="/c", folder=FOLDER)
    return list(caught.value.problems)


def policy(lines: str) -> str:
    """A file whose only policy has these lines beside its name; the first of them is line 4."""
    return "version: 1\npolicies:\n  - name: a\n" + "".join(f"    {line}\n" for line in dedent(lines).splitlines())


# What is understood


def test_the_whole_language_is_understood() -> None:
    found = parse("""\
        version: 1
        watch: {interval: 1h30m, react: no, horizon: 2w, trace: yes, trace_names: no}
        owners: [pi, root]
        caches: [{ecosystem: conda, path: /data/pkgs}]
        keep: {newer_than: 2d, packages: ["torch*", "numpy==1.26.*"], versions: 2}
        link_speed: 16 Mbit/s
        offline: keep-downloads
        policies:
          - name: everything
            match: {ecosystem: [pip, conda], owner: pi, path: "/home/*/.cache/pip"}
            free_space: {below: 10%, until: 15%}
            free_inodes: {below: 5000}
            size: {above: 2 GiB, until: 1.5 GiB}
            schedule: "0 4 * * 0"
            unused_for: 8w
            kinds: [download, tarball]
            order: largest
            action: relocate
            to: /media/usb/{owner}/{ecosystem}
            otherwise: purge
        """)
    assert found == Settings(
        watch=Watch(Seconds(5400), react=False, horizon=Seconds(1_209_600), trace=True, trace_names=False),
        owners=("pi", "root"),
        caches=(ExtraCache("conda", "/data/pkgs"),),
        keep=Keep(newer_than=Seconds(172_800), packages=("torch*", "numpy==1.26.*"), versions=2),
        link_speed=Bytes(2_000_000),
        offline=Offline.KEEP_DOWNLOADS,
        policies=(
            Policy(
                name="everything",
                match=Match(ecosystems=("pip", "conda"), owners=("pi",), paths=("/home/*/.cache/pip",)),
                free_space=Marks(Amount(percent=10), Amount(percent=15)),
                free_inodes=Marks(Amount(absolute=5000), Amount(absolute=5000)),
                size=Marks(Amount(absolute=2 * 1024**3), Amount(absolute=3 * 1024**3 // 2)),
                schedule="0 4 * * sun",
                unused_for=Seconds(4_838_400),
                kinds=frozenset({Kind.DOWNLOAD, Kind.TARBALL}),
                order=Order.LARGEST,
                action=ActionKind.RELOCATE,
                to="/media/usb/{owner}/{ecosystem}",
                otherwise=ActionKind.PURGE,
            ),
        ),
        files=("/c",),
    )


def test_what_is_not_said_has_its_default() -> None:
    assert parse("version: 1") == Settings(files=("/c",))
    assert parse(POLICY).policies == (Policy(name="a", action=ActionKind.PURGE),)


@pytest.mark.parametrize(
    ("word", "value"), [("on", True), ("Yes", True), ("true", True), ("off", False), ("NO", False)]
)
def test_booleans_of_yaml_1_1_are_booleans(word: str, value: bool) -> None:
    assert parse(f"version: 1\nwatch: {{react: {word}}}").watch.react is value


def test_a_size_and_a_share_may_stand_together() -> None:
    marks = parse(policy("free_space: {below: 5 GiB, until: 10%}\naction: purge")).policies[0].free_space
    assert marks == Marks(Amount(absolute=5 * 1024**3), Amount(percent=10))


def test_a_byte_order_mark_and_foreign_line_ends_do_no_harm() -> None:
    assert load(
        FakeFiles({"/c": b"\xef\xbb\xbfversion: 1\r\nowners: auto\r\n"}), config="/c", folder=FOLDER
    ) == Settings(files=("/c",))


# Mistakes in the file


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1: expected a mapping that begins with version: 1, got an empty file"),
        ("# nothing but this\n", "1:1: expected a mapping that begins with version: 1, got an empty file"),
        ("---\n", "2:1: expected a mapping that begins with version: 1, got nothing"),
        ("- a\n", "1:1: expected a mapping that begins with version: 1, got a list"),
        ("hello", '1:1: expected a mapping that begins with version: 1, got "hello"'),
        ("version: 1\n---\nversion: 1\n", "2:1: expected one YAML document, got a second one"),
        ("version: 1\n\towners: auto\n", "2:1: expected YAML, got an error: found character '\\t' that cannot start any token"),
        ("version: 1: 2", "1:11: expected YAML, got an error: mapping values are not allowed here"),
        ("version: 1\nowners: [a", "2:11: expected YAML, got an error: expected ',' or ']', but got '<stream end>'"),
        ("version: 1\nver\x00", "2:4: expected printable text, got the character U+0000"),
        ("version: 1\x1b[2J", "1:11: expected printable text, got the character U+001B"),
        (b"version: 1\n# caf\xe9\n", "2:6: expected UTF-8, got the byte 0xE9"),
        ("version: 1\n".encode("utf-16"), "1:1: expected UTF-8, got the byte 0xFF"),
        ('version: "\\U99999999"', "1:13: expected YAML, got an escape or a number that is none"),
        ("[" * 100_000, "1:18: expected at most 16 levels, got a deeper one"),
        ("? " * 100_000, "1:35: expected at most 16 levels, got a deeper one"),
        (b"#" * 1024 * 1024 + b"#", "1:1: expected a configuration file, got one of more than 1 MiB"),
        (OSError(errno.EINVAL, "x"), "1:1: expected a configuration file, got something that is not a regular file"),
        ("version: 1\nowners: &a auto", "2:9: owners: expected a value, got the anchor &a"),
        ("version: 1\nowners: *a", "2:9: owners: expected a value, got the alias *a"),
        ("version: 1\n<<: {owners: auto}", "2:1: expected a key, got the merge key <<"),
        ("version: 1\nowners: !!python/object:os.system x", "2:9: owners: expected a plain value, got the tag tag:yaml.org,2002:python/object:os.system"),
        ("version: 1\nwatch: !!set {}", "2:8: watch: expected a plain value, got the tag tag:yaml.org,2002:set"),
        ("version: 1\nowners: auto\nowners: auto", "3:1: owners: expected each key once, got owners again (first at 2:1)"),
        ("version: 1\n? [a]\n: b", "2:3: expected a text as the key, got a list"),
        ("version: 1\n? {}\n: b", "2:3: expected a text as the key, got a mapping"),
        ("version: 1\non: b", "2:1: expected a text as the key, got on"),
        ("version: 1\n5: b", "2:1: expected a text as the key, got 5"),
        ("version: 1\n~: b", "2:1: expected a text as the key, got nothing"),
        ('version: 1\nowners: ["\\0"]', '2:10: owners[0]: expected printable text, got "\\x00"'),
    ],
)  # fmt: skip
def test_a_file_that_is_no_plain_yaml_mapping_is_refused(text: str | bytes | OSError, problem: str) -> None:
    assert problems(text) == [f"/c:{problem}"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("owners: auto", "1:1: version: expected 1, got nothing"),
        ("version: 2", "1:10: version: expected 1, got 2"),
        ('version: "1"', '1:10: version: expected 1, got "1"'),
        ("version:", "1:9: version: expected 1, got nothing"),
        ("version: 1\npolices: []", "2:1: polices: expected a known key (the nearest is policies), got polices"),
        ("version: 1\nzzz: 1", "2:1: zzz: expected one of the keys version, watch, owners, caches, keep, link_speed, offline, policies, got zzz"),
        ('version: 1\n"a\\nb": 1', '2:1: "a\\nb": expected one of the keys version, watch, owners, caches, keep, link_speed, offline, policies, got a\\nb'),
        ("version: 1\npolicies:", "2:10: policies: expected a list of policies, got nothing (write [] for none)"),
        ("version: 1\npolicies: {}", "2:11: policies: expected a list of policies, got a mapping"),
        ("version: 1\nwatch: 5m", '2:8: watch: expected a mapping ({interval: 5m}), got "5m"'),
        ("version: 1\nwatch: {interval: 300}", '2:19: watch.interval: expected a duration ("5m" or "1h30m"), got 300 (a number needs its unit)'),
        ("version: 1\nwatch: {interval: 0s}", '2:19: watch.interval: expected a duration ("5m" or "1h30m"), got "0s" (at least 1s)'),
        ("version: 1\nwatch: {horizon: 7}", '2:18: watch.horizon: expected a duration ("7d" or "2w"), got 7 (a number needs its unit)'),
        ('version: 1\nwatch: {react: "on"}', '2:16: watch.react: expected true or false, got "on"'),
        ("version: 1\nowners: []", "2:9: owners: expected auto or a list of user names, got an empty list"),
        ("version: 1\nowners: pi", '2:9: owners: expected auto or a list of user names, got "pi"'),
        ("version: 1\nowners: [1000]", '2:10: owners[0]: expected a user name, got 1000 (YAML reads a number; in quotes it is a text: "1000")'),
        ("version: 1\nowners: [pi*]", '2:10: owners[0]: expected a user name, got "pi*" (one login name, no pattern)'),
        ("version: 1\ncaches: [{ecosystem: npm, path: /a}]", '2:22: caches[0].ecosystem: expected pip or conda, got "npm"'),
        ("version: 1\ncaches: [{path: /a}]", "2:10: caches[0].ecosystem: expected pip or conda, got nothing"),
        ("version: 1\ncaches: [{ecosystem: pip, path: a}]", '2:33: caches[0].path: expected an absolute path, got "a" (a path must be absolute)'),
        ("version: 1\ncaches: [{ecosystem: pip, path: /a/../b}]", '2:33: caches[0].path: expected an absolute path, got "/a/../b" (a path must not contain ..)'),
        ("version: 1\nkeep: {versions: -1}", "2:18: keep.versions: expected a number of versions from 0 to 1000, got -1 (a whole number in digits, at most 1000)"),
        ("version: 1\nlink_speed: 2", '2:13: link_speed: expected a speed ("2 MB/s" or "16 Mbit/s"), got 2 (YAML reads a number; in quotes it is a text: "2")'),
        ("version: 1\nlink_speed: 0 MB/s", '2:13: link_speed: expected a speed ("2 MB/s" or "16 Mbit/s"), got "0 MB/s" (more than nothing)'),
        ("version: 1\noffline: keep", '2:10: offline: expected as-usual or keep-downloads, got "keep"'),
        ("version: 1\nkeep: {newer_than: 1y}", '2:20: keep.newer_than: expected a duration ("1h" or "2d"), got "1y" (units are s, m, h, d and w, the longest first: 1h30m)'),
        ("version: 1\nkeep: {packages: [numpy=1.26]}", '2:19: keep.packages[0]: expected a package ("torch*" or "numpy==1.26.*"), got "numpy=1.26" (with two equal signs: numpy==1.26)'),
    ],
)  # fmt: skip
def test_a_mistake_outside_policies_is_told(text: str, problem: str) -> None:
    assert problems(text) == [f"/c:{problem}"]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("order: oldest", "3:5: policies[0].action: expected purge, relocate or report, got nothing"),
        ("action: delete", '4:13: policies[0].action: expected purge, relocate or report, got "delete"'),
        ("action: off", "4:13: policies[0].action: expected purge, relocate or report, got off"),
        ("action: purge\nfree-space: {below: 5%}", "5:5: policies[0].free-space: expected a known key (the nearest is free_space), got free-space"),
        ("action: purge\nfree_space: 10%", '5:17: policies[0].free_space: expected a mapping ({below: 10%, until: 15%}), got "10%"'),
        ("action: purge\nfree_space: {until: 10%}", f"5:17: policies[0].free_space.below: expected {SIZE}, got nothing"),
        ("action: purge\nfree_space: {below: 10}", f"5:25: policies[0].free_space.below: expected {SIZE}, got 10 (a number needs its unit)"),
        ("action: purge\nfree_space: {below: 101%}", f'5:25: policies[0].free_space.below: expected {SIZE}, got "101%" (a share is from 0% to 100%)'),
        ("action: purge\nfree_space: {below: 10%, until: 5%}", "5:37: policies[0].free_space.until: expected at least the value of below (10%), got 5%"),
        ("action: purge\nfree_inodes: {below: 10, until: 5}", "5:37: policies[0].free_inodes.until: expected at least the value of below (10), got 5"),
        ("action: purge\nfree_inodes: {below: 1 GiB}", '5:26: policies[0].free_inodes.below: expected a number of inodes (5000) or a share of the filesystem ("5%"), got "1 GiB" (a whole number in digits)'),
        ("action: purge\nsize: {above: 1 GiB, until: 1.5 GiB}", "5:33: policies[0].size.until: expected at most the value of above (1 GiB), got 1.5 GiB"),
        ("action: purge\nsize: {above: 2G}", f'5:19: policies[0].size.above: expected {SIZE}, got "2G" (units are B, kB, MB, GB, TB and KiB, MiB, GiB, TiB)'),
        ('action: purge\nschedule: "0 4 * *"', '5:15: policies[0].schedule: expected a schedule of five cron fields ("0 4 * * sun"), got "0 4 * *" (five fields: minute, hour, day of the month, month, day of the week)'),
        ('action: purge\nschedule: "0 4 * * \u200bsun"', '5:15: policies[0].schedule: expected a schedule of five cron fields ("0 4 * * sun"), got "0 4 * * \\u200bsun" ("\\u200bsun" is no day of the week)'),
        ("action: purge\nunused_for: 0d", '5:17: policies[0].unused_for: expected a duration ("60d" or "8w"), got "0d" (at least 1s)'),
        ("action: purge\nkinds: []", "5:12: policies[0].kinds: expected a list of kinds, got an empty list"),
        ("action: purge\nkinds: [wheel]", '5:13: policies[0].kinds[0]: expected debris, log, index, download, tarball, package or built-wheel, got "wheel"'),
        ("action: purge\nmatch: {ecosystem: pip}\nkinds: [index, tarball]", "6:12: policies[0].kinds: expected kinds of pip (debris, index, download or built-wheel), got tarball"),
        ("action: purge\nmatch: {path: ~/.cache/pip}", '5:19: policies[0].match.path: expected an absolute path or glob ("/home/*/.cache/pip"), got "~/.cache/pip" (~ is not expanded, for there are many homes)'),
        ("action: purge\nmatch: {owner: []}", "5:20: policies[0].match.owner: expected a user name or a list of them, got an empty list"),
        ("action: purge\nmatch:", "5:11: policies[0].match: expected a mapping ({ecosystem: pip}), got nothing"),
        ("action: purge\norder: newest", '5:12: policies[0].order: expected cheapest-first, least-recently-used, oldest or largest, got "newest"'),
        ("action: relocate", '4:13: policies[0].to: expected a destination ("/media/usb/cache/{owner}/conda"), got nothing'),
        ("action: purge\nto: /a", "5:9: policies[0].to: expected this key only with action: relocate, got action: purge"),
        ("action: report\notherwise: purge", "5:16: policies[0].otherwise: expected this key only with action: relocate, got action: report"),
        ("action: relocate\nto: /a\notherwise: relocate", '6:16: policies[0].otherwise: expected purge or report, got "relocate"'),
        ("action: relocate\nto: a/{owner}", '5:9: policies[0].to: expected a destination ("/media/usb/cache/{owner}/conda"), got "a/{owner}" (a path must be absolute)'),
        ("action: relocate\nto: /a/../{owner}", '5:9: policies[0].to: expected a destination ("/media/usb/cache/{owner}/conda"), got "/a/../{owner}" (a path must not contain ..)'),
        ("action: relocate\nto: /a/{user}", '5:9: policies[0].to: expected a destination ("/media/usb/cache/{owner}/conda"), got "/a/{user}" (the only placeholders are {owner} and {ecosystem})'),
        ("action: relocate\nto: /", '5:9: policies[0].to: expected a destination ("/media/usb/cache/{owner}/conda"), got "/" (a folder of its own, not the root)'),
        ('action: relocate\nto: "/a\\nb"', '5:9: policies[0].to: expected a destination ("/media/usb/cache/{owner}/conda"), got "/a\\nb" (at most 4095 bytes, and no control characters)'),
    ],
)  # fmt: skip
def test_a_mistake_in_a_policy_is_told(lines: str, problem: str) -> None:
    assert problems(policy(lines)) == [f"/c:{problem}"]


@pytest.mark.parametrize(
    ("name", "got"),
    [
        ("on", 'on (YAML reads a boolean; in quotes it is a text: "on")'),
        ("2026-01-01", '2026-01-01 (YAML reads a date; in quotes it is a text: "2026-01-01")'),
        ("1_000", '1_000 (YAML reads a number; in quotes it is a text: "1_000")'),
        ("~", "nothing"),
        ("[a]", "a list"),
        ("-a", '"-a" (at most 64 letters, digits, dots, underscores and dashes, the first a letter or digit)'),
        ("a b", '"a b" (at most 64 letters, digits, dots, underscores and dashes, the first a letter or digit)'),
    ],
)
def test_a_name_is_a_text_of_few_characters(name: str, got: str) -> None:
    assert problems(POLICY.replace("name: a", f"name: {name}")) == [
        f"/c:3:11: policies[0].name: expected a name of letters, digits, . _ -, got {got}"
    ]


def test_all_problems_come_at_once() -> None:
    found = problems("""\
        version: 1
        watch: {interval: 5}
        policies:
          - name: a
            free_space: {below: 5%, below: 6%}
            action: purg
          - *b
          - nonsense
          - action: purge
        """)
    assert found == [
        '/c:2:19: watch.interval: expected a duration ("5m" or "1h30m"), got 5 (a number needs its unit)',
        "/c:5:29: policies[0].free_space.below: expected each key once, got below again (first at 5:18)",
        '/c:6:13: policies[0].action: expected purge, relocate or report, got "purg"',
        "/c:7:5: policies[1]: expected a value, got the alias *b",
        '/c:8:5: policies[2]: expected a policy (a mapping with name and action), got "nonsense"',
        "/c:9:5: policies[3].name: expected a name of letters, digits, . _ -, got nothing",
    ]


def test_a_long_value_is_shortened() -> None:
    (found,) = problems("version: 1\nowners: " + "x" * 5000)
    assert found == f'/c:2:9: owners: expected auto or a list of user names, got "{"x" * 60}…"'


# Whatever is written


_WORDS = some.sampled_from(
    [
        "version",
        "watch",
        "interval",
        "5m",
        "10%",
        "policies",
        "name",
        "match",
        "size",
        "above",
        "until",
        "kinds",
        "pip",
    ]
)
_SCALARS = some.one_of(
    _WORDS, some.none(), some.booleans(), some.integers(), some.floats(), some.dates(), some.text()
)
_TREES = some.recursive(
    _SCALARS,
    lambda inner: some.one_of(some.lists(inner, max_size=3), some.dictionaries(_WORDS, inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None)
@given(some.one_of(some.text(), some.text(alphabet="aon:-[]{}&*!|>'\"%@`,?#<=~ \n\t01\\uUx"), some.binary()))
def test_any_bytes_give_settings_or_problems_on_one_line_each(text: str | bytes) -> None:
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    assert_settings_or_problems(content)


@settings(max_examples=30, deadline=None)
@given(_TREES)
def test_any_yaml_gives_settings_or_problems_on_one_line_each(tree: object) -> None:
    top = {"version": 1, **tree} if isinstance(tree, dict) else {"version": 1, "policies": tree}
    assert_settings_or_problems(yaml.safe_dump(top).encode("utf-8", "surrogatepass"))


def assert_settings_or_problems(content: bytes) -> None:
    files, found = FakeFiles({"/c": content}), None
    try:
        load(files, config="/c", folder=FOLDER)
    except ConfigError as error:  # and nothing else
        found = error.problems
    assert (found or ()) == check_file(files, "/c")
    for problem in found or ():
        assert problem.startswith("/c:")
        assert problem.isprintable()
