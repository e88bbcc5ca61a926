"""A cache that is moved to be shared: the group gets all of it, and what that means is told before and after."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.disks import why_no_loop_disks
from builders.moves import House, fill_pip, house
from cachewarden.model.relocations import Errand
from cachewarden.system import acl
from cachewarden.system.users import group_name

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(why_no_loop_disks() is not None, reason=str(why_no_loop_disks())),
]
GROUP = group_name(os.getegid())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as made:
        fill_pip(made.home / ".cache/pip", 3)
        yield made


def test_a_cache_that_is_moved_for_a_group_can_be_written_by_it_in_every_folder(place: House) -> None:
    done = place.run(Errand.RELOCATE, shared_group=GROUP)
    assert (done.error, done.notes) == ("", ())
    new = place.to("pip")
    for folder in (new, *(path for path in new.rglob("*") if path.is_dir())):
        assert stat.S_IMODE(folder.stat().st_mode) & 0o2070 == 0o2070, folder
        assert acl.rights_of(acl.unpacked(os.getxattr(folder, acl.DEFAULT)), os.getegid()) == acl.ALL


def test_whom_sharing_trusts_is_told_before_anything_is_done(place: House) -> None:
    prospect = place.run(Errand.CHECK, shared_group=GROUP).prospect
    assert prospect is not None
    assert f"each member of {GROUP} can change what the others install" in " ".join(prospect.warnings)
    alone = place.run(Errand.CHECK).prospect
    assert alone is not None
    assert "each member" not in " ".join(alone.warnings)


def test_a_group_that_is_not_there_is_refused_and_nothing_is_moved(place: House) -> None:
    done = place.run(Errand.RELOCATE, shared_group="no-such-group")
    assert done.error == "there is no group no-such-group on this machine"
    assert (place.home / ".cache/pip/http-v2").is_dir()
    assert place.records() == ()
