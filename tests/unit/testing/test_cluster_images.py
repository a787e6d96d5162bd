"""What containerd says about an import."""

from __future__ import annotations

from pathlib import Path

import pytest

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster.images import check_archive, parse_imported


def test_names_and_digests_are_read_from_what_ctr_prints() -> None:
    digests = [f"sha256:{digit * 64}" for digit in "ab"]
    output = f"unpacking localhost/one:1 ({digests[0]})...done\nunpacking two:latest ({digests[1]})...done\n"
    assert parse_imported(output) == {"localhost/one:1": digests[0], "two:latest": digests[1]}


def test_what_is_no_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    with pytest.raises(SdkError, match=r"image\.tar: No such file"):
        check_archive(path)
    path.write_text("hello")
    with pytest.raises(SdkError, match=r"image\.tar: this is not an image archive"):
        check_archive(path)
