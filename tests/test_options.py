"""Options whose types are Triax's own: what is read, and that the default is written as it is read."""

from typing import Any

import pytest
import tyro

import triax
from triax import cli, options


def read(config: Any, *words: str) -> Any:
    """Read options over a config."""
    return tyro.cli(type(config), args=words, default=config, config=cli.CONFIG, registry=options.TYPES)


def test_a_scheduled_number_is_one_option() -> None:
    schedule = triax.LinearSchedule(initial=0.5, final=0.25, updates=100)
    for words, expected in (("0.25", 0.25), ("0.5:0.25:100", schedule)):
        for default in (0.01, schedule):
            learner = read(triax.PPOConfig(entropy_coefficient=default), "--entropy-coefficient", words)
            assert learner.entropy_coefficient == expected


@pytest.mark.parametrize(
    ("word", "noise"),
    [
        ("white", triax.WhiteNoise()),
        ("pink", triax.PinkNoise()),
        ("pink:8", triax.PinkNoise(octaves=8)),
    ],
)
def test_exploration_noise_is_chosen_by_its_name(word: str, noise: Any) -> None:
    for default in (triax.WhiteNoise(), triax.PinkNoise(octaves=3)):
        assert read(triax.SACConfig(exploration=default), "--exploration", word).exploration == noise
    assert read(triax.SACConfig(exploration=noise)).exploration == noise


@pytest.mark.parametrize(("word", "message"), [("pinc", "'pinc' is no noise"), ("pink:0", "octaves=0 must be")])
def test_another_noise_is_refused(word: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read(triax.SACConfig(), "--exploration", word)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("8", 8),
        ("-8.5", -8.5),
        ("True", True),
        ("None", None),
        ("'a b'", "a b"),
        ("(1, [2.0, 'c'])", (1, [2.0, "c"])),
        ("{'a': (1,)}", {"a": (1,)}),
    ],
)
def test_a_literal_is_read_as_python_reads_it(word: str, value: Any) -> None:
    assert options.literal(word) == value
    assert type(options.literal(word)) is type(value)


@pytest.mark.parametrize(
    "word", ["true", "hard", "(1, 2", "b'x'", "{1}", "1j", "[b'x']", "{1: 2}", "...", "len('a')", ""]
)
def test_what_is_no_data_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="is no value as Python writes it"):
        options.literal(word)


def test_arguments_are_written_as_they_are_read() -> None:
    config = triax.EnvironmentConfig(id="Pendulum-v1", arguments={"objects": (1, 6), "mode": "hard"})
    assert read(config) == config
    assert read(config, "--arguments", "objects", "(1, 2)").arguments == {"objects": (1, 2)}
