"""Setting ``[global] cache-dir`` in the text of a pip.conf, and taking it back, leaving all else as it is.

The lines are told apart as ``configparser.RawConfigParser._read`` does, in pip's dialect. Whatever is made is parsed
again as pip would: a text that says anything else than before, but for this one key, is never handed out.
"""

import configparser
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from io import StringIO

from cachewarden.ecosystems.pip_config import MOST_LINES, Dialect, with_plain_line_ends

SECTION, KEY = "global", "cache-dir"

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_END = re.compile(r"\r\n|\r|\n")
_HEADER = configparser.RawConfigParser.SECTCRE
_OPTION = configparser.RawConfigParser.OPTCRE
_Meaning = dict[str, dict[str, str]]


class _Role(Enum):
    BLANK = auto()
    COMMENT = auto()
    HEADER = auto()
    OPTION = auto()
    MORE = auto()  # of the value of the option before it


@dataclass(frozen=True, slots=True)
class _Line:
    """``section`` and ``key`` are those that the line belongs to."""

    text: str
    end: str
    role: _Role
    section: str | None
    key: str | None

    @property
    def margin(self) -> str:
        return self.text[: len(self.text) - len(self.text.lstrip())]

    @property
    def is_ours(self) -> bool:
        return self.role is _Role.OPTION and (self.section, self.key) == (SECTION, KEY)


def with_cache_dir(text: str, value: str) -> str:
    """The text with the value set where it stands, else behind the section's header, else in a new one at the end.

    ``ValueError``, whose text goes on after the name of the file, when pip stops at it or would read anything else.
    """
    meaning = _meaning(text)
    lines = _lines(text)
    place = _place_of_ours(lines)
    if place is not None:
        lines = _with_value(lines, place, value)
    elif SECTION in meaning:
        lines = _with_line(lines, value)
    else:
        lines = _with_section(lines, value)
    result = _text(lines)
    if not _means_one_of(result, [_changed(meaning, value)]):
        raise ValueError(_why_not(meaning, value))
    return result


def without_cache_dir(current: str, original: str | None, value: str) -> str | None:
    """What ``with_cache_dir`` made of ``original``, and others may have edited since, with the key as it was.

    ``current`` as it is when it does not say ``value`` any more, or pip stops at it.
    """
    try:
        if current == with_cache_dir(original or "", value):
            return original
        meaning, lines = _meaning(current), _lines(current)
    except ValueError:
        return current
    place = _place_of_ours(lines)
    if place is None or meaning[SECTION].get(KEY) != value:
        return current
    before = _lines(original or "")
    place_before = _place_of_ours(before)
    if place_before is None:
        results = [_without_line(lines, place, before), lines[:place] + lines[place + 1 :]]
        wanted = _removed(meaning, original or "")
    else:
        old = _value(original or "")
        results = [
            _with_all_lines_of(lines, place, before, place_before),
            _with_lines_of(lines, place, before, place_before),
            _with_value(lines, place, old),
        ]
        wanted = [_changed(meaning, old)]
    result = next((text for text in map(_text, results) if _means_one_of(text, wanted)), current)
    return None if original is None and not result.strip() else result


# --- lines -------------------------------------------------------------------------------------------------------


def _lines(text: str) -> list[_Line]:
    """``configparser.RawConfigParser._read``; only of a text that it reads without an error."""
    found: list[_Line] = []
    section = key = None
    level = 0
    for raw in _LINE.findall(text):
        line = _END.sub("", raw)
        role = _role(line, level, in_option=key is not None)
        if role in {_Role.HEADER, _Role.OPTION}:
            level = len(line) - len(line.lstrip())
        if role is _Role.HEADER and (header := _HEADER.match(line.strip())):
            section, key = header["header"], None
        elif role is _Role.OPTION and (option := _OPTION.match(line.strip())):
            key = Dialect().optionxform(option["option"].rstrip())
        found.append(_Line(line, raw[len(line) :], role, section, key))
    return found


def _role(line: str, level: int, *, in_option: bool) -> _Role:
    plain = line.strip()
    if not plain:
        return _Role.BLANK
    if plain.startswith(("#", ";")):
        return _Role.COMMENT
    if in_option and len(line) - len(line.lstrip()) > level:
        return _Role.MORE
    return _Role.HEADER if _HEADER.match(plain) else _Role.OPTION


def _text(lines: Iterable[_Line]) -> str:
    return "".join(line.text + line.end for line in lines)


def _place_of_ours(lines: Sequence[_Line]) -> int | None:
    return next((place for place, line in enumerate(lines) if line.is_ours), None)


def _own(lines: Sequence[_Line], place: int) -> list[_Line]:
    """The option with the lines on which its value goes on; comments and empty lines between those too."""
    end = last = place + 1
    while end < len(lines) and lines[end].role not in {_Role.OPTION, _Role.HEADER}:
        end += 1
        last = end if lines[end - 1].role is _Role.MORE else last
    return list(lines[place:last])


# --- setting -----------------------------------------------------------------------------------------------------


def _with_value(lines: Sequence[_Line], place: int, value: str) -> list[_Line]:
    """Spelling, delimiter and blanks stay; the lines on which the old value went on go, comments there stay."""
    line = lines[place]
    option = _OPTION.match(line.text.strip())
    assert option, "the line was read as an option"
    begin, end = (len(line.margin) + each for each in option.span("value"))
    head, tail = line.text[:begin], line.text[end:]
    changed = replace(line, text=head + value + tail if option["value"] else f"{head.rstrip()} {value}")
    own = _own(lines, place)
    kept = [each for each in own[1:] if each.role is not _Role.MORE]
    return [*lines[:place], changed, *kept, *lines[place + len(own) :]]


def _with_line(lines: Sequence[_Line], value: str) -> list[_Line]:
    """Behind the header; as deep as what follows, which would otherwise be read as more of our value."""
    place = next(at for at, line in enumerate(lines) if line.role is _Role.HEADER and line.section == SECTION)
    header, rest = lines[place], lines[place + 1 :]
    follows = next((line for line in rest if line.role not in {_Role.BLANK, _Role.COMMENT}), None)
    ours = _Line(f"{follows.margin if follows else ''}{KEY} = {value}", header.end, _Role.OPTION, SECTION, KEY)
    return [*lines[:place], replace(header, end=header.end or _line_end(lines)), ours, *rest]


def _with_section(lines: Sequence[_Line], value: str) -> list[_Line]:
    """At the end, behind an empty line."""
    end = _line_end(lines)
    before = [*lines[:-1], replace(lines[-1], end=lines[-1].end or end)] if lines else []
    if lines and lines[-1].role is not _Role.BLANK:
        before.append(_Line("", end, _Role.BLANK, None, None))
    header = _Line(f"[{SECTION}]", end, _Role.HEADER, SECTION, None)
    return [*before, header, _Line(f"{KEY} = {value}", end, _Role.OPTION, SECTION, KEY)]


def _line_end(lines: Sequence[_Line]) -> str:
    return next((line.end for line in lines if line.end), "\n")


# --- taking back -------------------------------------------------------------------------------------------------


def _with_all_lines_of(lines: Sequence[_Line], place: int, before: Sequence[_Line], there: int) -> list[_Line]:
    """Ours, and the comments which stood between the lines of the value and still follow, as they stood then."""
    old = _own(before, there)
    kept = [line.text for line in old[1:] if line.role is not _Role.MORE]
    end = place + 1 + len(kept)
    if [line.text for line in lines[place + 1 : end]] != kept:
        return _with_lines_of(lines, place, before, there)
    usual = _line_end(lines)
    back = [replace(line, end=line.end and usual) for line in old]
    back[-1] = replace(back[-1], end=lines[end - 1].end)
    return [*lines[:place], *(replace(line, end=line.end or usual) for line in back[:-1]), back[-1], *lines[end:]]


def _with_lines_of(lines: Sequence[_Line], place: int, before: Sequence[_Line], there: int) -> list[_Line]:
    """Our line replaced by those of ``before``, with the line ends of the file as it is now."""
    end = lines[place].end
    old = [replace(line, end=line.end and (end or _line_end(lines))) for line in _own(before, there)]
    old[-1] = replace(old[-1], end=end)
    kept = [line for line in old if line.role is not _Role.COMMENT]  # those were left where they are
    return [*lines[:place], *kept[:-1], replace(kept[-1], end=end), *lines[place + 1 :]]


def _without_line(lines: Sequence[_Line], place: int, before: Sequence[_Line]) -> list[_Line]:
    """Without our line; without the section too, when that is ours and nothing else is in it."""
    left = [*lines[:place], *lines[place + 1 :]]
    inside = [line for line in left if line.section == SECTION and line.role not in {_Role.BLANK, _Role.HEADER}]
    if inside or any(line.section == SECTION for line in before):
        return left
    header = next(at for at, line in enumerate(left) if line.section == SECTION)
    parted = bool(before) and before[-1].role is not _Role.BLANK  # then the empty line is ours too
    ours = header - 1 if parted and header and left[header - 1].role is _Role.BLANK else header
    return [*left[:ours], *left[header + 1 :]]


# --- meaning -----------------------------------------------------------------------------------------------------


def _meaning(text: str) -> _Meaning:
    """What pip reads: each section with what ``[DEFAULT]`` adds, and that one too. ValueError when pip stops."""
    if text.count("\n") > MOST_LINES:
        raise ValueError(f"has more than {MOST_LINES} lines: too long to be pip's configuration")
    parser = Dialect()
    try:
        parser.read_file(StringIO(with_plain_line_ends(text)))
    except configparser.Error as error:
        raise ValueError(f"cannot be read by pip: {' '.join(str(error).split())[:300]}") from None
    return {"DEFAULT": dict(parser.defaults()), **{name: dict(parser.items(name)) for name in parser.sections()}}


def _value(text: str) -> str:
    return _meaning(text)[SECTION][KEY]


def _changed(meaning: _Meaning, value: str) -> _Meaning:
    return {**meaning, SECTION: {**meaning.get(SECTION, {}), KEY: value}}


def _removed(meaning: _Meaning, original: str) -> list[_Meaning]:
    """Without the key, ``[DEFAULT]`` says it; the section may be gone, when it was not there before."""
    inherited = {KEY: meaning["DEFAULT"][KEY]} if KEY in meaning["DEFAULT"] else {}
    rest = {key: value for key, value in meaning[SECTION].items() if key != KEY}
    wanted = [{**meaning, SECTION: {**rest, **inherited}}]
    if SECTION not in _meaning(original) and rest.keys() <= meaning["DEFAULT"].keys():
        wanted.append({name: items for name, items in meaning.items() if name != SECTION})
    return wanted


def _means_one_of(text: str, wanted: Iterable[_Meaning]) -> bool:
    try:
        return _meaning(text) in wanted
    except ValueError:
        return False


def _why_not(meaning: _Meaning, value: str) -> str:
    if SECTION not in meaning and meaning["DEFAULT"]:
        return (
            f"has [DEFAULT] but no [{SECTION}]: adding that would put {', '.join(sorted(meaning['DEFAULT']))} of "
            f"[DEFAULT] in force; add the section [{SECTION}] yourself"
        )
    return f"cannot name {value[:200]!r} so that pip reads it back and all else as before"
