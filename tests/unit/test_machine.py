"""Whether there is a way to a network, by the kernel's own tables."""

import pytest

from cachewarden.system.machine import default_route

HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
OUT = "wlan0\t00000000\t010200C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
LAN = "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
DOWN = "eth0\t00000000\t010200C0\t0002\t0\t0\t0\t00000000\t0\t0\t0\n"
ZERO, GATE = "0" * 32, "fd" + "0" * 29 + "1"
OUT6 = f"{ZERO} 00 {ZERO} 00 {GATE} 00000400 00000002 00000000 00000003     eth0\n"
LOCAL6 = f"fe80{'0' * 28} 40 {ZERO} 00 {ZERO} 00000100 00000002 00000000 00000001     eth0\n"
REJECTED6 = f"{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 00000001 00000000 00200201       lo\n"


@pytest.mark.parametrize(
    ("table", "columns", "there"),
    [
        (HEAD + LAN + OUT, (1, 7, 3), True),
        (HEAD + LAN, (1, 7, 3), False),
        (HEAD + DOWN, (1, 7, 3), False),
        (HEAD, (1, 7, 3), False),
        ("", (1, 7, 3), False),
        (LOCAL6 + OUT6, (0, 1, 8), True),
        (LOCAL6 + REJECTED6, (0, 1, 8), False),
        ("what is this\n", (1, 7, 3), True),
    ],
)
def test_a_route_for_everything_is_a_way_out(table: str, columns: tuple[int, int, int], there: bool) -> None:
    assert default_route(table, *columns) is there
