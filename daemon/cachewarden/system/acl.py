"""POSIX ACLs in the form that the kernel keeps them in extended attributes (linux/posix_acl_xattr.h)."""

import struct
from collections.abc import Iterable
from typing import NamedTuple

ACCESS = "system.posix_acl_access"
DEFAULT = "system.posix_acl_default"
"""What a folder hands on to all that is made in it; with it the umask does not count (acl(5))."""
ALL = 7
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_WRITE = 2
_HEAD, _ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
_VERSION = 2
_NOBODY = 0xFFFFFFFF


class Entry(NamedTuple):
    """One line of an ACL; ``who`` is the uid or gid of a named user or group. ``rights``: 4 r, 2 w, 1 x."""

    tag: int
    rights: int
    who: int = _NOBODY


Acl = tuple[Entry, ...]


def unpacked(data: bytes) -> Acl:
    """The entries of an attribute's value; ValueError when it is none of this form."""
    if len(data) < _HEAD.size or (len(data) - _HEAD.size) % _ENTRY.size or _HEAD.unpack_from(data)[0] != _VERSION:
        raise ValueError("not an ACL of version 2")
    return tuple(Entry(*each) for each in _ENTRY.iter_unpack(data[_HEAD.size :]))


def packed(acl: Iterable[Entry]) -> bytes:
    """The value of the attribute; the kernel wants the kinds of entries in the order of their tags."""
    ordered = sorted(acl, key=lambda each: (each.tag, each.who))
    return _HEAD.pack(_VERSION) + b"".join(_ENTRY.pack(*each) for each in ordered)


def shared(gid: int, others: int) -> Acl:
    """A default ACL: all for the owner, the group of the folder and ``gid``; ``others`` for everybody else."""
    return (
        Entry(_USER_OBJ, ALL), Entry(_GROUP_OBJ, ALL), Entry(_GROUP, ALL, gid), Entry(_MASK, ALL),
        Entry(_OTHER, others),
    )  # fmt: skip


def rights_of(acl: Acl, gid: int) -> int:
    """What members of ``gid`` may, where that is the group of the folder too: what any entry gives, less the mask."""
    given, mask = 0, ALL
    for each in acl:
        if each.tag == _GROUP_OBJ or (each.tag == _GROUP and each.who == gid):
            given |= each.rights
        elif each.tag == _MASK:
            mask = each.rights
    return given & mask


def writers(acl: Acl, gid: int) -> tuple[set[int], set[int]]:
    """The uids and the gids that may write to what belongs to ``gid``, less the mask; owner and others aside."""
    mask = next((each.rights for each in acl if each.tag == _MASK), ALL)
    may = [each for each in acl if each.rights & mask & _WRITE]
    groups = {gid if each.tag == _GROUP_OBJ else each.who for each in may if each.tag in {_GROUP_OBJ, _GROUP}}
    return {each.who for each in may if each.tag == _USER}, groups


def widened(acl: Acl, gid: int) -> Acl:
    """The same with all rights for the group of the folder and ``gid``; what it says of others stays."""
    kept = [each for each in acl if each.tag not in {_GROUP_OBJ, _MASK} and (each.tag, each.who) != (_GROUP, gid)]
    return (*kept, Entry(_GROUP_OBJ, ALL), Entry(_GROUP, ALL, gid), Entry(_MASK, ALL))
