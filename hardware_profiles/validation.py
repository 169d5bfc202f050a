"""What is wrong with a file that pydantic has checked, in one line."""

from __future__ import annotations

from pydantic import ValidationError


def first_violation(error: ValidationError, whole: str) -> str:
    """Words the first violated rule; the others show up once it is mended.

    Args:
        error: What pydantic raised.
        whole: What the file describes, for a rule about no single field.

    Returns:
        Such as ``field 'measuring.pairs': Input should be greater than 0, got 0: correct it in the file``.
    """
    first, n_more = error.errors()[0], error.error_count() - 1
    field = ".".join(str(part) for part in first["loc"]) or whole
    is_unknown = first["type"] == "extra_forbidden"
    rule = "there is no such field" if is_unknown else first["msg"].removeprefix("Value error, ")
    # A rule about several fields names the value itself; its input is the whole file.
    got = "" if first["type"] == "missing" or isinstance(first["input"], dict) else f", got {first['input']!r}"
    more = f" ({n_more} more after it)" if n_more else ""
    return f"field {field!r}: {rule}{got}: correct it in the file{more}"
