"""Nix's configuration, from its files, the environment and the command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.prepare import Limits
from builder.request import Constraints
from builder.settings import Settings, SettingsError, load


class Place:
    """Configuration files, and the environment that leads to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "etc").mkdir()
        (folder / "home" / "nix").mkdir(parents=True)
        self.environ = {
            "NIX_CONF_DIR": str(folder / "etc"),
            "XDG_CONFIG_HOME": str(folder / "home"),
            "XDG_CONFIG_DIRS": str(folder / "none"),
        }

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def load(self, **given: str) -> Settings:
        return load({name.replace("_", "-"): value for name, value in given.items()}, self.environ)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_nothing_is_configured(place: Place) -> None:
    assert place.load() == Settings()
    assert Settings().substituters == ("https://cache.nixos.org/",)


def test_later_ones_win(place: Place) -> None:
    place.write("etc/nix.conf", "max-jobs = 2\ncores = 3\ntimeout = 5 # a comment\n\n# all a comment\n")
    place.write("home/nix/nix.conf", "cores = 4\ntimeout = 6\n")
    place.environ["NIX_CONFIG"] = "timeout = 7\nkeep-going = true"
    settings = place.load(max_silent_time="8")
    assert (settings.max_jobs, settings.cores, settings.timeout, settings.max_silent_time) == (2, 4, 7, 8)
    assert settings.keep_going


def test_the_users_files_can_be_named(place: Place) -> None:
    place.write("home/nix/nix.conf", "cores = 4")
    place.write("first", "cores = 1")
    place.write("second", "cores = 2\ntimeout = 9")
    place.environ["NIX_USER_CONF_FILES"] = f"{place.folder}/first:{place.folder}/second:{place.folder}/none"
    assert (place.load().cores, place.load().timeout) == (1, 9)


def test_lists_are_replaced_or_added_to(place: Place) -> None:
    place.write("etc/nix.conf", "substituters = https://a https://b\nextra-substituters = https://c https://a\n")
    place.write("home/nix/nix.conf", "extra-substituters = https://d\nextra-trusted-public-keys = k:x\n")
    settings = place.load()
    assert settings.substituters == ("https://a", "https://b", "https://c", "https://d")
    assert settings.trusted_public_keys == (*Settings().trusted_public_keys, "k:x")
    assert place.load(substituters="").substituters == ()


def test_old_names_and_auto(place: Place) -> None:
    place.write("etc/nix.conf", "binary-caches = https://a\nbuild-max-jobs = auto\n")
    settings = place.load()
    assert (settings.substituters, settings.max_jobs) == (("https://a",), os.cpu_count() or 1)


def test_what_a_build_may_use(place: Place) -> None:
    place.write("etc/nix.conf", "max-build-memory = 2G\nmax-output-size = 5\nmax-build-processes = 100\ntimeout = 7\n")
    limits = Limits.of(place.load(max_build_log_size="64K"))
    assert limits == Limits(2 << 30, seconds=7, log_size=64 << 10, processes=100, output_size=5)
    wanted = Constraints(memory=1 << 30, seconds=9, silence=3)
    bounded = Constraints(memory=1 << 30, seconds=7, silence=3, log_size=64 << 10, processes=100, output_size=5)
    assert limits.bound(wanted) == bounded
    with pytest.raises(SettingsError, match="with K, M, G or T after it"):
        place.load(max_build_memory="2X")
    with pytest.raises(SettingsError, match="'timeout' is a number, not '2M'"):
        place.load(timeout="2M")


def test_settings_of_others_are_passed_over(place: Place) -> None:
    place.write("etc/nix.conf", "show-trace = maybe\nsandbox = relaxed\nexperimental-features = nix-command flakes\n")
    assert place.load() == Settings()


def test_files_include_others(place: Place) -> None:
    place.write("etc/nix.conf", "include more.conf\n!include none.conf\ncores = 5")
    place.write("etc/more.conf", "cores = 1\ntimeout = 2")
    assert (place.load().cores, place.load().timeout) == (5, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\ncores 5", r"nix\.conf:2: a line is written NAME = VALUE, not 'cores 5'"),
        ("cores = many", r"nix\.conf:1: 'cores' is a number, not 'many'"),
        ("max-jobs = -1", r"nix\.conf:1: 'max-jobs' is a number or auto, not '-1'"),
        ("keep-going = maybe", r"nix\.conf:1: 'keep-going' is true or false, not 'maybe'"),
        ("extra-cores = 1", r"nix\.conf:1: 'cores' is no list"),
        ("include none.conf", r"nix\.conf:1: there is no file '.*none\.conf'"),
        ("include", r"nix\.conf:1: 'include' is followed by one path"),
        ("include nix.conf", "include each other"),
    ],
)
def test_faults_name_the_place(place: Place, text: str, said: str) -> None:
    place.write("etc/nix.conf", text)
    with pytest.raises(SettingsError, match=said):
        place.load()


def test_faults_of_the_environment_and_the_command_line(place: Place) -> None:
    place.environ["NIX_CONFIG"] = "timeout = soon"
    with pytest.raises(SettingsError, match=r"\$NIX_CONFIG:1: 'timeout' is a number"):
        place.load()
    del place.environ["NIX_CONFIG"]
    with pytest.raises(SettingsError, match="--option timeout: 'timeout' is a number"):
        place.load(timeout="soon")
