"""What tools.toml and the go.mod files say, and how mistakes in them are reported."""

from pathlib import Path

import pytest

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.tools.pins import Tool, load_pins

GO_MOD = """module example.com/tools/demo

go 1.25.0

require (
	example.com/dependency v0.1.0 // indirect
	example.com/demo/v2 v2.3.4
)
"""
TOOLS = """
[groups]
all-of-it = ["demo"]

[link]
demo = ["main.version={version}", "main.minor={major}.{minor}"]

[tools.demo]
module = "demo"
package = "example.com/demo/v2/cmd/demo"
requires = "example.com/demo/v2"
link = "demo"
ask = ["--version"]
cpu = 10
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "go.mod").write_text(GO_MOD)
    (tmp_path / "demo" / "go.sum").write_text("example.com/demo/v2 v2.3.4 h1:abc=\n")
    (tmp_path / "tools.toml").write_text(TOOLS)
    return tmp_path


def demo(directory: Path) -> Tool:
    return load_pins(directory).tools["demo"]


def test_version_comes_from_go_mod_and_is_linked_in(directory: Path) -> None:
    tool = demo(directory)
    assert tool.version == "v2.3.4"
    assert tool.link == ("main.version=v2.3.4", "main.minor=2.3")
    assert tool.go == (1, 25, 0)


@pytest.mark.parametrize(
    ("output", "same"),
    [
        ("demo v2.3.4", True),
        ("demo 2.3.4 (linux/amd64)", True),
        ("Version: 2.3.4\nBuilt with go1.26", True),
        ("v2.3.4+gabc", True),
        ("demo-2.3.4", True),
        ("v2.3.40", False),
        ("v12.3.4", False),
        ("v2.3.4-rc.1", False),
        ("v2.3.4.5", False),
        ("v2.3.5", False),
        ("", False),
    ],
)
def test_a_program_of_another_version_is_not_taken(directory: Path, output: str, same: bool) -> None:
    assert demo(directory).tells(output) is same


def test_key_changes_with_everything_that_changes_the_binary(directory: Path) -> None:
    keys = {demo(directory).key}
    for name, text in {
        "demo/go.sum": "example.com/demo/v2 v2.3.4 h1:other=\n",
        "demo/main.go": "package main\n",
        "demo/go.mod": GO_MOD.replace("v0.1.0", "v0.1.1"),
        "tools.toml": TOOLS.replace("main.minor", "main.short"),
    }.items():
        (directory / name).write_text(text)
        keys.add(demo(directory).key)
    assert len(keys) == 5
    (directory / "tools.toml").write_text(TOOLS.replace("main.minor", "main.short").replace("cpu = 10", "cpu = 20"))
    (directory / "demo" / "notes.md").write_text("nothing that is compiled")
    assert demo(directory).key in keys


def test_select_by_name_and_group_in_the_order_of_the_file() -> None:
    pins = load_pins()
    names = [tool.name for tool in pins.select(["helm", "control-plane", "kubectl"])]
    assert names == ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm"]
    assert pins.select([]) == list(pins.tools.values())
    with pytest.raises(SdkError, match="named 'kubectI'") as error:
        pins.select(["kubectI"])
    assert "kubectl" in (error.value.hint or "")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('module = "demo"', 'modul = "demo"', r"tools\.toml: tools\.demo\.module: Field required"),
        ("cpu = 10", "cpu = 0", r"tools\.toml: tools\.demo\.cpu: .*greater than 0"),
        ('link = "demo"', 'link = "none"', r"tools\.demo\.link: there is no set 'none'"),
        ('["demo"]', '["demo", "demi"]', r"groups\.all-of-it: no such tool: demi"),
        ("{minor}", "{patch}", r"link\.demo: unknown placeholder 'patch'"),
        ('example.com/demo/v2"\nlink', 'example.com/none"\nlink', r"go\.mod does not require example\.com/none"),
        ("cpu = 10", "cpu = ", r"tools\.toml: Invalid value"),
    ],
)
def test_mistakes_are_named(directory: Path, old: str, new: str, message: str) -> None:
    assert old in TOOLS
    (directory / "tools.toml").write_text(TOOLS.replace(old, new))
    with pytest.raises(SdkError, match=message):
        load_pins(directory)


def test_every_pinned_tool_is_verified_by_a_go_sum() -> None:
    for tool in load_pins().tools.values():
        if "require" in (tool.module / "go.mod").read_text():
            assert (tool.module / "go.sum").stat().st_size > 0, tool.name
