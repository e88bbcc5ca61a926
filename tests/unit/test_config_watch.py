"""Which file events concern the configuration."""

import pytest

from cachewarden.service.config_watch import concerns

FOLDERS = ["/home/ann/.config/cachewarden", "/home/ann/.config/cachewarden/policies.d"]


@pytest.mark.parametrize(
    ("path", "does"),
    [
        ("/home/ann/.config/cachewarden/cachewarden.yaml", True),
        ("/home/ann/.config/cachewarden/policies.d/10-cap.yaml", True),
        ("/home/ann/.config/cachewarden/policies.d", True),
        ("/home/ann/.config/cachewarden", True),
        ("/home/ann/.config", True),
        ("/home/ann/.config/cachewarden/cachewarden.yaml.swp", False),
        ("/home/ann/.config/other/x.yaml", False),
        ("/home/ann/.bash_history", False),
        ("/home/ann/.conf", False),
        ("", False),
    ],
)
def test_a_yaml_file_of_a_folder_or_the_way_to_it(path: str, *, does: bool) -> None:
    assert concerns(path, FOLDERS) is does
