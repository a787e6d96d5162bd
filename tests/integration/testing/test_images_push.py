"""`make docker-push` with the machine's own container tool and a real registry."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from kopf_sdk.testing.images import container
from kopf_sdk.testing.tools import binary
from oci_registry import serving

PROJECT = Path(__file__).parents[3]


def test_an_image_that_was_built_here_is_pushed_to_the_registry_that_its_name_begins_with(tmp_path: Path) -> None:
    (tmp_path / "greeting").write_text("hello\n")
    (tmp_path / "Containerfile").write_text("FROM scratch\nCOPY greeting /greeting\n")
    tool = container.choose_tool()
    with serving() as registry:
        image = f"{registry}/my/operator:v1"
        container.build(tool, container.Settings(image, tmp_path / "Containerfile", tmp_path, {}), quiet=True)
        try:
            pushed = subprocess.run(
                ["make", "docker-push", f"IMG={image}", f"CONTAINER_TOOL={tool}", "PUSH_ARGS=--plain-http"],
                cwd=PROJECT,
                env={name: value for name, value in os.environ.items() if name != "MAKEFLAGS"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert pushed.returncode == 0, pushed.stderr
            exported = subprocess.run(
                [binary("crane"), "export", "--insecure", image, "-"], capture_output=True, check=True
            ).stdout
        finally:
            subprocess.run([tool, "rmi", image], capture_output=True, check=True)
    assert b"hello\n" in exported
