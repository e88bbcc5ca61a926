"""The manual pages: ``cachewarden(1)`` from the grammar, ``cachewarden.yaml(5)`` from the policy reference."""

import re
import textwrap
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

from cachewarden.settings.reference import reference
from cachewarden.settings.vocabulary import ECOSYSTEMS
from project.grammar import Command, Option, Place, program, verbs

ROOT = Path(__file__).resolve().parents[2]

_PLAIN = {"…": "...", "«": "\\(dq", "»": "\\(dq", "–": "-", "’": "'"}

_STATUS = {
    "0": "Done. Having nothing to do is done, and so is a plan that cannot be kept.",
    "1": "An action failed, or a promise could not be kept: everything that may go is gone, and it is not enough.",
    "2": "Wrong usage.",
    "75": "Busy: another cycle is running, or a tool whose cache is to be moved. Try later.",
    "78": "Bad configuration. Every problem was told, each with file, line and column.",
}
_FILES = {
    "/etc/cachewarden/cachewarden.yaml": "The configuration of the machine, see `cachewarden.yaml(5)`.",
    "/etc/cachewarden/policies.d/*.yaml": "What is added to it, read in the order of the names.",
    "/var/lib/cachewarden/": "History and locks of the machine.",
    "~/.config/cachewarden/, ~/.local/state/cachewarden/": "The same for one user (`--user`).",
    "~/.local/state/cachewarden/relocations/": "The journal of a user's moves, also of those that the service makes.",
}
_ENVIRONMENT = {
    "NO_COLOR": "When set and not empty: no colours. In a pipe there are none anyway.",
    "XDG_CONFIG_HOME, XDG_STATE_HOME": "Where `--user` finds its configuration and keeps its state.",
    "XDG_CACHE_HOME, PIP_*, CONDA_*": "With `--user` the caller's count when caches are looked for. Of other owners "
    "their configuration files are read.",
}
EXAMPLES = {
    "cachewarden status": "Which caches there are, and how far each policy is from acting. Changes nothing.",
    "cachewarden --verbose plan": "Everything that a cycle would remove now, in its order, and why the rest stays.",
    "cachewarden purge pip --to-free 2GiB": "Removes what costs least to get back, after asking.",
    "cachewarden purge --unused-for 30d --dry-run": "What nobody has used for a month.",
    "cachewarden relocate conda /media/usb/conda --dry-run": "Whether the cache can be moved to that disk, and how.",
    "cachewarden restore conda": "Takes the move back, and the configuration with it.",
    "cachewarden explain 'torch*'": "Why these packages stay or go, or when and why they went.",
    "cachewarden check && systemctl reload cachewarden": "Has the service take over a configuration that is right.",
    "cachewarden --json list --sort last-used": "The entries for another program, the longest unused first.",
}
POLICY_FILE = """\
version: 1
policies:
  - name: remove-debris
    kinds: [debris]
    action: purge
  - name: cap-pip
    match: {ecosystem: pip}
    size: {above: 2 GiB, until: 1.5 GiB}
    action: purge
  - name: keep-disk-free
    free_space: {below: 10%, until: 15%}
    action: purge
"""


def command() -> str:
    """``docs/man/cachewarden.1``."""
    first = program()
    summary, *rest = first.text.replace("\n", " ").split(": ", 1)
    lines = [
        *_title("CACHEWARDEN", 1, "daemon/cachewarden/cli and tests/project/manual.py"),
        *_section("NAME", [f"cachewarden \\- {_text(summary[0].lower() + summary[1:])}"]),
        *_section("SYNOPSIS", _synopsis(first)),
        *_section("DESCRIPTION", _lines(": ".join([summary, *rest]))),
        ".PP",
        *_lines(
            "Called by root it looks after the caches of all users of the machine, else after those of the caller."
        ),
        *_section("OPTIONS", _pairs((_option(each), each.text) for each in first.options)),
        ".PP",
        *_lines("They stand before the verb; `--json`, `--verbose` and `--help` may stand behind it as well."),
        ".SH VERBS",
    ]
    for verb in verbs():
        lines += _verb(verb)
    lines += _section("EXIT STATUS", _pairs((f"\\fB{status}\\fR", text) for status, text in _STATUS.items()))
    lines += _section("ENVIRONMENT", _pairs((_names(names), text) for names, text in _ENVIRONMENT.items()))
    lines += _section("FILES", _pairs((_names(names), text) for names, text in _FILES.items()))
    lines += _section("EXAMPLES", _pairs((f"\\fB{_text(words)}\\fR", text) for words, text in EXAMPLES.items()))
    lines += _section("SEE ALSO", [".BR cachewarden.yaml (5),", ".BR journalctl (1),", ".BR systemctl (1)"])
    return "\n".join(lines) + "\n"


def policy_file() -> str:
    """``docs/man/cachewarden.yaml.5``."""
    return "\n".join(
        [
            *_title("CACHEWARDEN.YAML", 5, "daemon/cachewarden/settings/keys.py and reference.py"),
            *_section("NAME", ["cachewarden.yaml \\- what cachewarden keeps and removes"]),
            *_section("DESCRIPTION", _from_markdown(reference())),
            *_section("EXAMPLES", [".nf", *map(_text, POLICY_FILE.splitlines()), ".fi"]),
            *_section("SEE ALSO", [".BR cachewarden (1),", ".BR crontab (5)"]),
            "",
        ]
    )


def _title(name: str, section: int, source: str) -> list[str]:
    """With version and day of the newest entry of debian/changelog: the day of a build would differ each time."""
    newest = (ROOT / "debian" / "changelog").read_text(encoding="utf-8").split("\n -- ")[:2]
    version = re.findall(r"\((.+?)\)", newest[0])[0]
    day = parsedate_to_datetime(newest[1].splitlines()[0].split("  ")[1]).date().isoformat()
    return [
        f'.\\" Generated by `make generate` from {source}; edit that.',
        f'.TH {name} {section} {day} "cachewarden {version}"',
        ".nh",
        ".ad l",
    ]


def _synopsis(first: Command) -> list[str]:
    lines = [".B cachewarden", _text("[`OPTION`...] `VERB` [...]")]
    for verb in verbs():
        words = [f"\\fB{verb.name}\\fR", *(f"[{_option(each, short=True)}]" for each in verb.options)]
        words += [_place(each) for each in verb.places]
        lines += [".br", f".B {first.name}", " ".join(words)]
    return lines


def _verb(verb: Command) -> Iterator[str]:
    yield f".SS {verb.name}"
    yield from _lines(f"{verb.text[0].upper()}{verb.text[1:]}. {verb.more}".strip())
    yield from _pairs(
        [
            *((_place(each), each.text) for each in verb.places),
            *((_option(each), each.text) for each in verb.options),
        ]
    )


def _option(option: Option, *, short: bool = False) -> str:
    """``-h, --help`` or ``--kind KIND``, with the words where they are known."""
    names = option.names[-1:] if short else option.names
    shown = ", ".join(f"\\fB{_text(name)}\\fR" for name in names)
    if not option.value:
        return shown
    words = option.value.words
    value = "|".join(f"\\fB{_text(word)}\\fR" for word in words) if words and not short else ""
    return f"{shown}\\ {value or _italic(option.value.name)}"


def _place(place: Place) -> str:
    name = _italic(place.value.name) + ("..." if place.many else "")
    return name if place.needed else f"[{name}]"


def _italic(text: str) -> str:
    return f"\\fI{_text(text)}\\fR"


def _names(names: str) -> str:
    return ", ".join(_italic(name) for name in names.split(", "))


def _section(title: str, body: Iterable[str]) -> list[str]:
    return [f".SH {title}", *body]


def _pairs(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """What is on the left is roff already. A text that begins with a word of the program stays as it is."""
    return [line for left, text in pairs for line in (".TP", left, *_lines(_sentence(text)))]


def _sentence(text: str) -> str:
    return text if text.startswith(tuple(ECOSYSTEMS)) else text[:1].upper() + text[1:]


def _text(text: str) -> str:
    """Roff of a line in which `` `words` `` are to be bold, without anything that roff would take for its own."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha")
    text = re.sub(r"\*\*([^*]+)\*\*|`([^`]+)`", lambda found: f"\\fB{found[1] or found[2]}\\fR", text)
    for sign, plain in _PLAIN.items():
        text = text.replace(sign, plain)
    return text


def _lines(text: str) -> list[str]:
    """A paragraph in lines of at most 78 bytes, none of which roff could take for a request."""
    lines = textwrap.wrap(_text(" ".join(text.split())), 78, break_long_words=False, break_on_hyphens=False)
    return [f"\\&{line}" if line[:1] in {".", "'"} else line for line in lines]


def _from_markdown(page: str) -> Iterator[str]:
    """Headings, paragraphs, lists and tables of keys are all that the reference has."""
    follows_a_title = True
    for block in page.split("\n\n"):
        lines = block.strip().splitlines()
        if not lines or lines[0].startswith(("# ", "<!--")):
            continue
        if lines[0].startswith("## "):
            yield f".SS {_text(lines[0][3:].replace('`', ''))}"
        elif lines[0].startswith("| "):
            yield from _pairs(_row(line) for line in lines[2:])
        elif lines[0].startswith("- "):
            for item in re.split(r"\n- ", "\n".join(lines)[2:]):
                yield from (".IP \\(bu 2", *_lines(item))
        else:
            yield from ([] if follows_a_title else [".PP"])
            yield from _lines(" ".join(lines))
        follows_a_title = lines[0].startswith("## ")


def _row(line: str) -> tuple[str, str]:
    key, value, default, meaning = (cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1])
    more = {"": "", "**required**": "; required"}.get(default, f"; default: {default}")
    return f"{_text(key)} ({_text(value + more)})", meaning
