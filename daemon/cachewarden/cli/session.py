"""What every verb gets: the options, the output, and the program made of them when it is first needed."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from cachewarden.cli.output import Output

if TYPE_CHECKING:
    from cachewarden.cli.render.blocks import Block
    from cachewarden.cli.render.words import View
    from cachewarden.model.units import Instant
    from cachewarden.service.program import Program
    from cachewarden.system.memory import Store


@dataclass(frozen=True)  # no slots: the program is cached
class Session:
    """One call of the command."""

    options: argparse.Namespace
    environ: Mapping[str, str]
    output: Output
    _mentioned: set[str] = field(default_factory=set)

    @cached_property
    def program(self) -> "Program":
        """UsageError when the mode cannot be had."""
        from cachewarden.service.program import Options, Program

        given = self.options
        return Program(Options(given.config, given.state_dir, given.system, given.verbose), self.environ)

    def view(self, now: "Instant") -> "View":
        """How paths and times read: a person at a terminal is glad of ``~``, a script is not."""
        from cachewarden.cli.render.words import View

        home = self.environ.get("HOME", "") if self.output.terminal else ""
        return View(now, home if home.startswith("/") else "", self.options.verbose)

    def answer(self, document: Mapping[str, object]) -> None:
        """JSON on standard output."""
        from cachewarden.cli.render import json

        self.output.write(json.text(document, pretty=self.output.terminal))

    def show(self, blocks: "list[Block]") -> None:
        """A screen on standard output."""
        self.output.show(blocks)

    def mention(self, store: "Store") -> None:
        """Says once that the state does not work; nothing depends on it."""
        if store.trouble and store.trouble not in self._mentioned:
            self._mentioned.add(store.trouble)
            self.output.warn(f"cachewarden: warning: {store.trouble}")
