"""Telling a tool of another place, and taking that back: the one step at which a move becomes true."""

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from cachewarden.ecosystems import asking
from cachewarden.ecosystems.base import Ecosystem, Edit, InForce, Surroundings
from cachewarden.model.errors import RefusedError
from cachewarden.model.relocations import Heading, Method, Relocation
from cachewarden.system import durable

LIMIT = 1 << 20
_SPARE = "2"
"""What a name ends in while an exchange takes three renames."""
Ask = Callable[[tuple[str, ...]], str | None]


@dataclass(frozen=True, slots=True)
class Switch:
    """For one ecosystem of one owner. ``ask`` runs a tool as this process and gives what it prints."""

    surroundings: Surroundings
    ecosystem: Ecosystem
    ask: Ask

    # -- by configuration ---------------------------------------------------------------------------------------

    def prepare(self, record: Relocation) -> Relocation:
        """The record with the file to be written and its original. RefusedError when that cannot win."""
        edit = self.ecosystem.point(self.surroundings, record.old, record.new, keep=record.keep)
        return replace(record, config=edit.path, original=_text(edit.before), written=_text(edit.after) or "")

    def is_written(self, record: Relocation) -> bool:
        """Whether the configuration is as the record wants it, so that its original is known for good."""
        return bool(record.config and record.written) and durable.read(record.config, LIMIT) == _bytes(record.written)

    def may_be_told(self, record: Relocation) -> bool:
        """Whether a tool may know the new place already, after a kill in the middle, and have stored things there."""
        return self.is_written(record) or self.uses(record.new)

    def forward(self, record: Relocation) -> None:
        """Writes the configuration that names the new place, and asks whether it is believed.

        RefusedError when somebody else's word is stronger: then all is as before, with what a person wrote into the
        file while the tools were asked.
        """
        durable.sweep(*os.path.split(record.config))
        current = durable.read(record.config, LIMIT)
        after, before = _bytes(record.written), _bytes(record.original)
        if current != after:
            if current != before:
                raise RefusedError(f"{record.config} was edited meanwhile")
            durable.make_folders(os.path.dirname(record.config))
            durable.write(record.config, after or b"", 0o644)
        if why := self.disbelieved(record):
            self.backward(record)
            raise RefusedError(why)

    def backward(self, record: Relocation) -> None:
        """The configuration as it was, byte for byte; of one that was edited since only our key changes.

        Done twice it does no more; a file that is gone stays so.
        """
        durable.sweep(*os.path.split(record.config))
        current = durable.read(record.config, LIMIT)
        if current is None:
            return
        edit = Edit(record.config, _bytes(record.original), _bytes(record.written) or b"")
        back = self.ecosystem.point_back(current, edit, record.old, record.new)
        if back is None:
            durable.remove(record.config)
        elif back != current:
            durable.write(record.config, back, 0o644)

    def must_be_left(self, record: Relocation) -> None:
        """RefusedError when the file that was taken back still names the new place, by a line that is not ours."""
        still = self._by_its_file(record)
        if still:
            raise RefusedError(f"{still.tool} still uses {record.new}, by {still.where}: remove that, and try again")

    def is_named(self, record: Relocation) -> bool:
        """Whether the file that was written names the new place, whoever has edited it since, and is believed."""
        return bool(record.written) and self._by_its_file(record) is not None

    def _by_its_file(self, record: Relocation) -> InForce | None:
        if not record.config:
            return None
        real, using = self.surroundings.files.real_path, self.ecosystem.in_force(self.surroundings)
        wanted = real(record.new), real(record.config)
        # Else a variable decides, or the default; to resolve what is no path would ask for the working directory, and
        # that of a worker is gone.
        for each in using:
            if each.path and each.place.startswith("/") and (real(each.path), real(each.place)) == wanted:
                return each
        return None

    def disbelieved(self, record: Relocation) -> str | None:
        """Who does not use the new place now: by our resolver, then by the tools where they may be asked."""
        using = self.ecosystem.in_force(self.surroundings)
        if not any(each.path == record.new for each in using):
            return f"{record.ecosystem} does not use {record.new} after {record.config} was written"
        astray = next((each for each in using if each.path == record.old and not record.keep), None)
        if astray:
            return f"{astray.tool} still uses {record.old}, by {astray.where}"
        real = self.surroundings.files.real_path
        for question in asking.questions(record.ecosystem, self.surroundings, using):
            said = self.ask(question.argv)
            told = None if said is None else asking.answer(question, said)
            # Another folder than both may be the word of a section or an installation that is not meant.
            expected = asking.expected(record.ecosystem, self.surroundings)
            if told is not None and real(told) == real(record.old) and told != expected and not record.keep:
                return f"{question.tool} says that it still uses {told}"
        return None

    def uses(self, path: str) -> bool:
        """Whether some tool puts what is new into ``path``, links resolved."""
        real = self.surroundings.files.real_path
        return any(
            each.path is not None and real(each.path) == real(path)
            for each in self.ecosystem.in_force(self.surroundings)
        )


def link_forward(record: Relocation) -> None:
    """The old place becomes a symbolic link, in one step where the filesystem can; what was there is set aside."""
    aside = record.aside
    if durable.leads(record.old) != record.new:
        if not durable.is_there(record.old):
            durable.link(record.new, record.old)
        elif not durable.is_folder(record.old):
            raise RefusedError(f"{record.old} is no folder any more")
        else:
            if durable.leads(aside) == record.new:
                durable.remove(aside)
            if durable.is_there(aside):
                raise RefusedError(f"{aside} is there, and is nothing of this move: look at it, and remove it")
            durable.link(record.new, aside)
            durable.exchange(aside, record.old, aside + _SPARE)
    tidy(record)


def tidy(record: Relocation) -> None:
    """Names as they are after an exchange, where that was three renames and was ended between them."""
    spare = record.aside + _SPARE
    if is_ours(spare, record.set_aside):
        if durable.leads(record.aside) == record.new:
            durable.remove(record.aside)
        if not durable.is_there(record.aside):
            durable.rename(spare, record.aside)
    elif durable.leads(spare) == record.new:
        durable.remove(spare)


def is_ours(path: str, inode: int) -> bool:
    """Whether a folder is the one that the journal knows. A name alone says nothing: anybody may have given it."""
    return inode != 0 and durable.inode(path) == inode


def link_undone(record: Relocation) -> None:
    """As before ``link_forward``: what was set aside is back."""
    tidy(record)
    aside = record.aside
    if is_ours(aside, record.set_aside):
        if durable.leads(record.old) == record.new:
            durable.exchange(aside, record.old, aside + _SPARE)
        elif not durable.is_there(record.old):
            durable.rename(aside, record.old)
    for left in (aside, aside + _SPARE):
        if durable.leads(left) == record.new:
            durable.remove(left)


def link_backward(record: Relocation) -> None:
    """The link goes; its tool makes a folder when it needs one."""
    if durable.leads(record.old) == record.new:
        durable.remove(record.old)


def tell(switch: Switch, record: Relocation) -> None:
    """As the record's method and heading say; done twice it does no harm."""
    if record.method is Method.SYMLINK:
        (link_forward if record.heading is Heading.OUT else link_backward)(record)
    elif record.heading is Heading.OUT:
        switch.forward(record)
    else:
        switch.backward(record)
        switch.must_be_left(record)


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode("ascii")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
