import pytest

from parefront.hardware_profiles import SearchError
from parefront.search.database_url import VARIABLE, complete_url, hidden, parse_url, shown

SECRET = "s3cr3t"
FULL = f"postgresql://me:{SECRET}@host:5433/trials"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FULL, "postgresql://me@host:5433/trials"),
        (f"postgres://me:{SECRET}@host/trials", "postgresql://me@host/trials"),
        (f"postgresql+psycopg2://host/trials?user=me&password={SECRET}", "postgresql://host/trials?user=me"),
        (f"postgresql://me@/trials?host=/run/postgresql&sslpassword={SECRET}", None),
    ],
)
def test_what_is_shown_has_no_password_and_leads_to_the_same_place(text: str, expected: str | None) -> None:
    url = parse_url(text)
    assert url.drivername == "postgresql+psycopg"
    assert SECRET not in shown(url)
    assert SECRET not in hidden(f"password {SECRET} is wrong", url)
    if expected is not None:
        assert shown(url) == expected
    assert shown(parse_url(shown(url))) == shown(url)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"me:{SECRET}@host", "cannot be read: write postgresql://USER@HOST/DATABASE"),
        (f"mysql://me:{SECRET}@host/trials", "must be a PostgreSQL database, got 'mysql://me@host/trials'"),
        ("sqlite:///trials.db", "must be a PostgreSQL database"),
        ("postgresql://host", "must be a PostgreSQL database"),
    ],
)
def test_other_addresses_are_refused_without_showing_a_password(text: str, message: str) -> None:
    with pytest.raises(SearchError, match=message) as error:
        parse_url(text)
    assert SECRET not in str(error.value)


def test_the_variable_completes_what_is_kept_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = shown(parse_url(FULL))
    monkeypatch.delenv(VARIABLE, raising=False)
    assert complete_url(None) is None
    assert complete_url(None, kept) == parse_url(kept)
    assert complete_url(FULL, kept) == parse_url(FULL)
    monkeypatch.setenv(VARIABLE, FULL)
    assert complete_url(None) is None  # it begins no run
    assert complete_url(None, kept) == parse_url(FULL)
    assert complete_url(kept) == parse_url(FULL)
    other = "postgresql://me@elsewhere/trials"
    assert complete_url(other) == parse_url(other)
    assert complete_url(None, other) == parse_url(FULL)  # the same database by another name
