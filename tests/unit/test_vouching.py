"""What one owner's worker says of a disk must not decide about another owner's caches."""

from dataclasses import replace

import makers
from cachewarden.model.caches import Filesystem, Look
from cachewarden.model.units import Bytes, Inodes
from cachewarden.service.vouching import Voucher
from cachewarden.system.ports import Mount, Space
from fakes import FakeFiles

ANN, BOB = makers.owner("ann"), makers.owner("bob", uid=1001)
TRUE = makers.filesystem(free=400 * makers.MIB)


class Disks(FakeFiles):
    """``/home`` on device 1, ext4, as it really is."""

    def __init__(self, type_: str = "ext4") -> None:
        super().__init__(folders=["/home"])
        self.type, self.asked, self.tables = type_, 0, 0

    def mounts(self) -> dict[str, Mount]:
        self.tables += 1
        return {"/home": Mount("/home", self.type, tracks_atime=False, read_only=False)}

    def space(self, path: str) -> Space:
        self.asked += 1
        return Space(Bytes(1000 * makers.MIB), Bytes(400 * makers.MIB), Inodes(10_000), Inodes(5000))


def vouched(told: Filesystem, disks: FakeFiles) -> Look:
    cache = makers.cache(makers.entry(), device=told.device)
    return Voucher(disks).look(ANN, Look((cache,), (told,)))


def device_of_home() -> int:
    status = FakeFiles(folders=["/home"]).stat("/home")
    assert status
    return status.st_dev


def test_the_figures_of_a_disk_are_the_services_own() -> None:
    lie = replace(TRUE, device=device_of_home(), free=Bytes(0), total=Bytes(1))
    (seen,) = vouched(lie, Disks()).filesystems
    assert (seen.device, seen.free, seen.total, seen.tracks_atime) == (
        lie.device, 400 * makers.MIB, 1000 * makers.MIB, False,
    )  # fmt: skip


def test_a_disk_that_is_not_what_it_is_said_to_be_counts_for_its_owner_alone() -> None:
    for lie in (replace(TRUE, device=77), replace(TRUE, device=device_of_home(), mount="/elsewhere")):
        ann, bob = (Voucher(Disks()).filesystem(owner, lie).device for owner in (ANN, BOB))
        assert len({ann, bob, lie.device, device_of_home()}) >= 3
        look = vouched(lie, Disks())
        assert look.caches[0].device == look.filesystems[0].device == ann


def test_what_a_user_can_mount_or_a_server_can_hang_is_never_asked() -> None:
    for type_ in ("fuse.sshfs", "nfs4", "cifs", "fuse"):
        disks = Disks(type_)
        private = Voucher(disks).filesystem(ANN, replace(TRUE, device=device_of_home(), type=type_))
        assert (disks.asked, private.free, private.device != device_of_home()) == (0, TRUE.free, True)


def test_a_cache_on_a_disk_that_nobody_spoke_of_is_on_no_shared_disk() -> None:
    cache = makers.cache(makers.entry(), device=device_of_home())
    assert Voucher(Disks()).look(ANN, Look((cache,))).caches[0].device != device_of_home()


def test_each_disk_is_asked_once_however_many_a_worker_names() -> None:
    disks = Disks()
    told = tuple(replace(TRUE, device=device_of_home() + number) for number in range(1000))
    seen = Voucher(disks).look(ANN, Look((), told))
    assert (disks.asked, len({each.device for each in seen.filesystems})) == (1, 1000)


def test_a_hundred_looks_in_a_moment_read_the_table_of_mounts_once_and_later_ones_anew() -> None:
    now, disks = [0.0], Disks()
    voucher = Voucher(disks, lambda: now[0])
    look = Look((), (replace(TRUE, device=device_of_home()),))
    for number in range(100):
        voucher.look(makers.owner(f"u{number}", uid=1000 + number), look)
    once = disks.tables
    assert (once < 5, disks.asked) == (True, 1)
    now[0] = 2.0
    voucher.look(ANN, look)
    assert (disks.tables, disks.asked) == (2 * once, 2)


def test_after_a_purge_a_disk_is_asked_as_it_is_then() -> None:
    disks = Disks()
    voucher = Voucher(disks, lambda: 0.0)
    told = replace(TRUE, device=device_of_home())
    for _ in range(3):
        voucher.filesystem(ANN, told)
    assert disks.asked == 3
