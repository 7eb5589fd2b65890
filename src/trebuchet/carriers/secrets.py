"""Secrets among a carrier record's settings: hidden in answers, kept when somebody sends back what was hidden."""

from collections.abc import Collection, Mapping
from typing import Any, Final

HIDDEN: Final = "•••"  # what an answer shows in place of a secret


def hidden(settings: Mapping[str, Any], secrets: Collection[str]) -> dict[str, Any]:
    """A record's settings as an answer may show them."""
    return {name: HIDDEN if name in secrets and value else value for name, value in settings.items()}


def kept(settings: Mapping[str, Any], stored: Mapping[str, Any], secrets: Collection[str]) -> dict[str, Any]:
    """Settings that somebody sent back: what is hidden in them stays what it was."""
    return {
        name: stored[name] if name in secrets and value == HIDDEN and name in stored else value
        for name, value in settings.items()
    }
