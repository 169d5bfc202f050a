"""What was chosen at every site: a value with a canonical text and a stable hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import ItemsView, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from ..hardware_profiles.errors import SpaceError
from .site import Choice

SCHEMA = 1
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Configuration(Mapping[str, Choice]):
    """Choices by site name, sorted by name; sites that are not listed are neutral."""

    items_: tuple[tuple[str, Choice], ...] = ()
    _choices: Mapping[str, Choice] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_choices", dict(self.items_))

    @classmethod
    def of(cls, choices: Mapping[str, Choice]) -> Configuration:
        """A configuration from a mapping of site name to choice."""
        return cls(tuple(sorted(choices.items())))

    @classmethod
    def from_json(cls, text: str) -> Configuration:
        """Reads the text written by `to_json`.

        Raises:
            SpaceError: The text is not a configuration, or of a schema this version does not know.
        """
        try:
            data = json.loads(text)
            schema, choices = data["schema"], data["choices"]
        except (ValueError, KeyError, TypeError) as error:
            raise SpaceError(
                f'a configuration must be JSON like {{"schema": 1, "choices": {{}}}}, got {text[:60]!r}'
            ) from error
        if schema != SCHEMA:
            raise SpaceError(
                f"configuration schema must be {SCHEMA}, got {schema!r}: read it with the version that wrote it"
            )
        if not isinstance(choices, dict) or not all(isinstance(value, int | str) for value in choices.values()):
            raise SpaceError(f"choices must map site names to integers or strings, got {choices!r}")
        return cls.of(choices)

    def to_json(self) -> str:
        """Canonical text: keys sorted, no spaces, so that equal configurations have equal text."""
        return json.dumps({"schema": SCHEMA, "choices": self._choices}, sort_keys=True, separators=(",", ":"))

    @property
    def key(self) -> str:
        """SHA-256 of the canonical text, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def with_choice(self, site: str, choice: Choice) -> Configuration:
        """This configuration with one site set."""
        return Configuration.of({**self._choices, site: choice})

    def __getitem__(self, site: str) -> Choice:
        return self._choices[site]

    def __iter__(self) -> Iterator[str]:
        return iter(self._choices)

    def __len__(self) -> int:
        return len(self.items_)

    def __contains__(self, site: object) -> bool:
        return site in self._choices

    @overload
    def get(self, site: str, default: None = None, /) -> Choice | None: ...
    @overload
    def get(self, site: str, default: Choice | T, /) -> Choice | T: ...
    def get(self, site: str, default: Any = None, /) -> Any:
        """The choice at a site; the default where it is neutral."""
        return self._choices.get(site, default)

    def items(self) -> ItemsView[str, Choice]:
        """Sites with their choices."""
        return self._choices.items()

    def __reduce__(self) -> tuple[Any, ...]:
        return Configuration, (self.items_,)
