"""Settings: one table, three sources of rising strength, and no setting that is silently wrong."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from rvr.config import SettingFault, Settings, load


def test_every_setting_has_a_sentence_of_help_and_a_default_of_its_kind() -> None:
    for setting in dataclasses.fields(Settings):
        assert setting.metadata["help"].strip(), setting.name
        assert type(setting.default).__name__ == setting.type, setting.name
    timed = [setting for setting in dataclasses.fields(Settings) if setting.name.endswith("_s")]
    assert all(setting.metadata["unit"] == "s" for setting in timed)


def test_the_file_gives_way_to_the_environment_and_that_to_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "rvr.toml"
    file.write_text('port = 1\nforce = "kent"\nmax_body = 7\n')
    settings = load({"port": 3, "host": None}, {"RVR_PORT": "2", "RVR_FORCE": "suffolk"}, file)
    assert (settings.port, settings.force, settings.max_body, settings.host) == (3, "suffolk", 7, "127.0.0.1")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("prot = 1", "there is no setting “prot”"),
        ('port = "1"', "must be of the kind int"),
        ("port =", "cannot be read"),
    ],
)
def test_a_wrong_settings_file_is_refused_with_a_sentence(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "rvr.toml"
    file.write_text(text)
    with pytest.raises(SettingFault, match=fault):
        load({}, {}, file)


def test_a_settings_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingFault, match="cannot be read"):
        load({}, {}, tmp_path / "none.toml")


@pytest.mark.parametrize(("text", "read"), [("1", True), ("TRUE", True), ("no", False), ("0", False)])
def test_yes_and_no_are_read_from_the_environment(text: str, read: bool) -> None:
    assert load({}, {"RVR_DEMO": text}).demo is read


@pytest.mark.parametrize(("name", "text"), [("RVR_PORT", "eighty"), ("RVR_DEMO", "perhaps")])
def test_a_wrong_value_in_the_environment_is_refused(name: str, text: str) -> None:
    with pytest.raises(SettingFault, match=name):
        load({}, {name: text})


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"port": 70_000}, "does not exist"),
        ({"link_text": "Call us"}, "must contain {link}"),
        ({"media_codec": "VP9"}, "VP8 or H264"),
        ({"host": "0.0.0.0"}, "this machine only"),  # noqa: S104
        ({"host": "0.0.0.0", "demo": False}, "needs TLS"),  # noqa: S104
    ],
)
def test_settings_that_would_endanger_somebody_are_refused(given: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingFault, match=fault):
        load(given, {})


def test_addresses_and_places_follow_from_the_settings(tmp_path: Path) -> None:
    settings = load({"data": str(tmp_path / "data")}, {})
    assert (settings.base_url, settings.victim_url, settings.secure) == ("http://127.0.0.1:8080",) * 2 + (False,)
    assert settings.key_path == tmp_path / "data.keys" / "keys.json"
    assert settings.data_path not in settings.key_path.parents, "the key never lies beside the data that it opens"
    apart = load({"public_url": "https://rvr.test/", "join_url": "https://j.test/", "key_file": "/k"}, {})
    assert (apart.base_url, apart.victim_url, apart.secure) == ("https://rvr.test", "https://j.test", True)
    assert json.dumps(dataclasses.asdict(apart))
