"""A list in the text of a condarc made to say something else: what stays keeps its bytes and comments."""

import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence

from cachewarden.ecosystems.condarc_document import KEY, LINE_END, Document, line_end, line_start, quoted

_COMMENT = re.compile(r"#[^\r\n]*")


def rewritten(document: Document, wanted: Sequence[str], like: Document | None) -> str:
    """The text with the list as ``wanted``; what comes in takes after its line in ``like``, if it is there.

    ValueError for a list that is written in a way that cannot be edited so.
    """
    text = document.text
    if document.is_block_list:
        begin, end, lines = _in_block(document, wanted, like)
        return text[:begin] + lines + text[end:]
    begin, end = document.span()
    inside = _in_brackets(document, wanted, like) if document.is_flow_list and document.items else None
    return f"{text[:begin]} {_fresh(wanted)}{text[end:]}" if inside is None else text[:begin] + inside + text[end:]


def on_one_line(document: Document, wanted: Sequence[str]) -> str:
    """A list in brackets written anew: the last resort, comments in it are lost."""
    begin, end = document.span()
    return f"{document.text[:begin]} {_fresh(wanted)}{document.text[end:]}"


def _fresh(wanted: Sequence[str]) -> str:
    return f"[{', '.join(map(quoted, wanted))}]"


def _steps(items: Sequence[str], wanted: Sequence[str]) -> Iterator[tuple[int | None, list[str], list[str]]]:
    """For each item in its order: itself if it stays, and what is to be written before and behind it.

    What stays does so in its order; an item that is to come earlier goes, and is written anew.
    """
    rest, coming = deque(wanted), Counter(items)

    def until() -> list[str]:
        """What comes first of the rest, as far as none of the items to come says it."""
        found: list[str] = []
        while rest and not coming[rest[0]]:
            found.append(rest.popleft())
        return found

    for place, item in enumerate(items):
        ahead = until()
        stays = bool(rest) and rest[0] == item
        if stays:
            rest.popleft()
        coming[item] -= 1
        yield (place if stays else None), ahead, until()


# --- a line for each item ------------------------------------------------------------------------------------------


def _in_block(document: Document, wanted: Sequence[str], like: Document | None) -> tuple[int, int, str]:
    """Line by line; lines of comments between the items stay where they are."""
    text, nodes = document.text, document.nodes
    starts = _starts(document)
    end_of_line = LINE_END.search(text, starts[0])
    newline = end_of_line[0] if end_of_line else document.newline
    ends = [line_end(text, at) for at in starts]
    indent = re.match(r"[ ]*", text[starts[0] :])
    lead = indent[0] if indent else ""
    known = {**_bodies(like), **_bodies(document)}
    made: list[str] = []

    def add(lines: Sequence[str]) -> None:
        if lines and made and not made[-1].endswith(("\n", "\r")):
            made[-1] += newline  # it was the last line of the file
        made.extend(lines)

    for place, (stays, ahead, behind) in enumerate(_steps(document.items, wanted)):
        add([lead + known.get(each, f"- {quoted(each)}") + newline for each in ahead])
        add([] if stays is None else [text[starts[place] : ends[place]]])
        add([lead + known.get(each, f"- {quoted(each)}") + newline for each in behind])
        gap = text[ends[place] : starts[place + 1]] if place + 1 < len(nodes) else ""
        add([gap] if gap else [])
    return starts[0], ends[-1], "".join(made)


def _starts(document: Document) -> list[int]:
    text, nodes = document.text, document.nodes
    if any(node.start_mark.line != node.end_mark.line for node in nodes):
        raise ValueError(f"has an item in {KEY} that is longer than a line: name the folder there by hand")
    starts = [line_start(text, node.start_mark.index) for node in nodes]
    if not all(
        re.fullmatch(r"[ ]*-[ ]+", text[at : node.start_mark.index]) for at, node in zip(starts, nodes, strict=True)
    ):
        raise ValueError(f"has a list under {KEY} that is written in an unusual way: name the folder there by hand")
    return starts


def _bodies(document: Document | None) -> dict[str, str]:
    """The lines of a block list by what they say, from the dash to the end."""
    if document is None or not document.is_block_list:
        return {}
    try:
        starts = _starts(document)
    except ValueError:
        return {}
    lines = [document.text[at : line_end(document.text, at)].strip(" \r\n") for at in starts]
    return dict(zip(document.items, lines, strict=True))


# --- in brackets ---------------------------------------------------------------------------------------------------


def _in_brackets(document: Document, wanted: Sequence[str], like: Document | None) -> str:
    """From the colon to the closing bracket; the commas, blanks and comments between what stays are kept."""
    text, nodes = document.text, document.nodes
    begin, end = document.span()
    known = {**_written(like), **_written(document)}
    opens = nodes[0].start_mark.index
    made = [text[begin:opens]]
    last = len(nodes) - 1
    for place, (stays, ahead, behind) in enumerate(_steps(document.items, wanted)):
        following = nodes[place + 1].start_mark.index if place < last else end
        gap = text[nodes[place].end_mark.index : following]
        made += [f"{known.get(each, quoted(each))}, " for each in ahead]
        if stays is not None:
            inside = [known[document.items[place]], *(known.get(each, quoted(each)) for each in behind)]
            made += [", ".join(inside), gap]
        else:
            made.append(_without_comma(gap))
    return _without_last_comma("".join(made), had=_comma(text[nodes[last].end_mark.index : end]) is not None)


def _written(document: Document | None) -> dict[str, str]:
    """The items of a list in brackets by what they say, with the quotes they have."""
    if document is None or not document.is_flow_list:
        return {}
    spans = (document.text[node.start_mark.index : node.end_mark.index] for node in document.nodes)
    return dict(zip(document.items, spans, strict=True))


def _comma(gap: str) -> int | None:
    """Where the comma is between two items, comments left out."""
    found = _COMMENT.sub(lambda match: " " * len(match[0]), gap).find(",")
    return None if found < 0 else found


def _without_comma(gap: str) -> str:
    at = _comma(gap)
    if at is None:
        return gap
    rest = gap[at + 1 :].lstrip(" \t")
    return gap[:at] + (gap[at + 1 :] if rest.startswith("#") else rest)


def _without_last_comma(inside: str, *, had: bool) -> str:
    """No comma before the bracket where there was none."""
    return inside if had else re.sub(r",[ \t]*(?=\s*\]\Z)", "", inside)
