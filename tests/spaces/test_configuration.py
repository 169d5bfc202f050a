import hashlib

import pytest

from parefront.hardware_profiles.errors import SpaceError
from parefront.spaces import Configuration


def test_the_text_is_canonical_and_its_hash_is_the_key() -> None:
    configuration = Configuration.of({"rank/x": "spatial:24", "bits/x": 8})
    text = '{"choices":{"bits/x":8,"rank/x":"spatial:24"},"schema":1}'
    assert configuration.to_json() == text
    assert configuration.key == hashlib.sha256(text.encode()).hexdigest()


def test_equal_choices_are_one_value_in_any_order() -> None:
    one, other = Configuration.of({"a/x": 1, "b/y": "on"}), Configuration.of({"b/y": "on", "a/x": 1})
    assert one == other
    assert len({one, other}) == 1
    assert one.key == other.key
    assert one != Configuration.of({"a/x": "1", "b/y": "on"})


def test_it_reads_like_a_mapping_and_changes_into_a_new_one() -> None:
    configuration = Configuration.of({"prune/x": 48})
    changed = configuration.with_choice("bits/x", 8)
    assert dict(configuration) == {"prune/x": 48}
    assert dict(changed) == {"bits/x": 8, "prune/x": 48}
    assert changed["prune/x"] == 48
    with pytest.raises(KeyError):
        configuration["bits/x"]


def test_json_round_trip() -> None:
    configuration = Configuration.of({"bits/x": 8, "fold/x": "on", "prune/x": 48, "rank/x": "spatial:24"})
    assert Configuration.from_json(configuration.to_json()) == configuration
    assert Configuration.from_json('{"schema": 1, "choices": {}}') == Configuration()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("half a li", "must be JSON like"),
        ("[1, 2]", "must be JSON like"),
        ('{"choices": {}}', "must be JSON like"),
        ('{"schema": 2, "choices": {}}', "schema must be 1, got 2"),
        ('{"schema": 1, "choices": [8]}', "must map site names"),
        ('{"schema": 1, "choices": {"bits/x": 8.5}}', "must map site names"),
        ('{"schema": 1, "choices": {"bits/x": null}}', "must map site names"),
    ],
)
def test_other_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Configuration.from_json(text)
