"""Where settings come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from kopf_sdk.errors import SdkError
from kopf_sdk.runtime.settings import Settings, address, setting


def test_flags_before_environment_before_file_before_defaults(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("workers: 1\nresyncPeriod: 1\ngrace-period: 1\nlog_level: debug\n")
    argv = ["--config", str(file), "--workers", "3"]
    settings = Settings.read(argv, {"WORKERS": "2", "RESYNC_PERIOD": "2"})
    assert (settings.workers, settings.resync_period, settings.grace_period) == (3, 2.0, 1.0)
    assert (settings.log_level, settings.lease_duration) == ("debug", 15.0)


def test_names_that_the_field_knows() -> None:
    settings = Settings.read([], {"WATCH_NAMESPACE": "a,b", "ENABLE_WEBHOOKS": "false", "POD_NAMESPACE": "mine"})
    assert (settings.watch_namespaces, settings.enable_webhooks, settings.namespace) == ("a,b", False, "mine")


@pytest.mark.parametrize("argv", [["--leader-elect"], ["--leader-elect=true"], ["--leader-elect", "yes"]])
def test_flags_that_are_on_or_off(argv: list[str]) -> None:
    assert Settings.read(argv, {}).leader_elect
    assert not Settings.read(["--leader-elect=false"], {"LEADER_ELECT": "true"}).leader_elect


@pytest.mark.parametrize(
    ("argv", "environ", "message"),
    [
        (["--workers", "many"], {}, "--workers: 'many' is not a number"),
        ([], {"RESYNC_PERIOD": "1h"}, "environment variable RESYNC_PERIOD: '1h' is not a number of seconds"),
        ([], {"LEADER_ELECT": "maybe"}, "environment variable LEADER_ELECT: 'maybe' is neither true nor false"),
        ([], {"RESYNC_PERIOD": "nan"}, "resync-period: must be more than 0 seconds"),
        (["--grace-period=-1"], {}, "grace-period: must not be less than 0 seconds"),
        (["--log-format", "xml"], {}, "--log-format: 'xml' is not one of text, json"),
        (["--workers", "0"], {}, "workers: 0"),
        (["--renew-deadline", "20"], {}, "must grow"),
        (["--metrics-bind-address", "8443"], {}, "metrics-bind-address: '8443' is not an address"),
        (["--webhook-configurations", "mine"], {}, "webhook-configurations: 'mine' is no webhook configuration"),
        (["--config", "/nowhere.yaml"], {}, "/nowhere.yaml"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(argv: list[str], environ: dict[str, str], message: str) -> None:
    with pytest.raises(SdkError) as caught:
        Settings.read(argv, environ)
    assert message in caught.value.message


@pytest.mark.parametrize("text", ["[]", "workers: [1", "colour: red"])
def test_a_wrong_file_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    with pytest.raises(SdkError, match=r"settings\.yaml"):
        Settings.read([], {"CONFIG_FILE": str(file)})


def test_help_names_every_setting_with_its_unit_and_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        Settings.read(["--help"], {})
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Default: 15.0 seconds. [LEASE_DURATION]" in text
    assert "[WATCH_NAMESPACE]" in text
    assert text.count("Default:") == len(Settings.__dataclass_fields__)


def test_an_operator_adds_its_own() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Own(Settings):
        image: str = setting("memcached:1.6", "The default image.")

    assert Own.read(["--image", "x"], {}).image == "x"
    assert Own.read([], {"IMAGE": "y"}).image == "y"


@pytest.mark.parametrize(
    ("text", "where"),
    [(":8443", ("", 8443)), ("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:80", ("::1", 80)), ("0", None)],
)
def test_addresses(text: str, where: tuple[str, int] | None) -> None:
    assert address(text, "x") == where


def test_a_wrong_value_ends_the_process_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        Settings.load(["--workers", "many"])
    assert caught.value.code == 2
    assert "--workers: 'many' is not a number" in capsys.readouterr().err


def test_nothing_in_the_file_is_the_default_and_a_list_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("watchNamespaces:\nleaderElectionId: ~\nworkers: null\n")
    assert Settings.read(["--config", str(file)], {}) == Settings()
    for text in ("watchNamespaces: [a, b]", "logLevel: {a: b}"):
        file.write_text(text)
        with pytest.raises(SdkError, match="must be one value"):
            Settings.read(["--config", str(file)], {})
    file.write_bytes(b"workers: \xff\xfe")
    with pytest.raises(SdkError, match="not YAML"):
        Settings.read(["--config", str(file)], {})
