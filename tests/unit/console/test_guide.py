"""Whom the first message is sent as."""

from trebuchet.admin.bootstrap import first_records
from trebuchet.console.guide import sender
from trebuchet.model.account import Account, Application, Directory, Number, NumberKind
from trebuchet.storage.base import Record


def number(of: str, application: str = "app") -> Number:
    return Number(number=of, kind=NumberKind.E164, account_id="a", application_id=application)


def test_without_a_number_nobody_can_send() -> None:
    """Nor without the application that a number names."""
    account, application = Account(id="a"), Application(id="app", account_id="a")
    assert sender(Directory([account], [], [application]), None) is None
    assert sender(Directory([account], [], [], [number("+12025550100")]), None) is None


def test_the_numbers_of_this_start_come_first() -> None:
    """Those are what the program text on the page has credentials for."""
    first = first_records(bytes, 0, demo=False, callback_url="http://h/c", simulator=True)

    def of(kind: type) -> list[Record]:
        return [record for record in first.records if isinstance(record, kind)]

    directory = Directory(
        [Account(id="a"), *of(Account)],  # type: ignore[list-item]
        [],
        [Application(id="app", account_id="a", name="Mine"), *of(Application)],  # type: ignore[list-item]
        [number("+1"), *of(Number)],  # type: ignore[list-item]
    )
    given = sender(directory, first)
    assert given is not None
    assert (given["account_id"], given["number"]) == (first.account_id, first.numbers[0])
    assert given["callback_url"] == "http://h/c"
    other = sender(directory, None)
    assert other is not None
    assert (other["number"], other["application"]) == ("+1", "Mine")
