"""What a gateway begins with: a first account that can send at once. Pure; randomness is a parameter."""

import uuid

import msgspec

from trebuchet.admin.secrets import (
    RandomBytes,
    new_account_id,
    new_secret,
    new_token,
    secret_sha256,
)
from trebuchet.model.account import (
    Account,
    Application,
    Carrier,
    Credential,
    InDoubt,
    Number,
    NumberKind,
    Route,
)
from trebuchet.storage.base import Record

# The documented values of `serve --demo`.
DEMO_ACCOUNT = "u-demo"
DEMO_TOKEN = "t-demo"  # noqa: S105  # documented and fixed: for tests
DEMO_SECRET = "s-demo"  # noqa: S105  # likewise
DEMO_APPLICATION = "93de2206-9669-4e07-948d-329f4b722ee2"
DEMO_NUMBERS = ("+12345678901", "+12025550100")
FIRST_NUMBERS = ("+12025550100", "+12025550101")  # for fiction: no carrier gives them to anybody
FIRST_HANDSET = "+12345678902"  # whom the first message goes to, if the carrier is simulated


class FirstRecords(msgspec.Struct, frozen=True):
    """The records in the order in which they can be created, and what a person needs of them."""

    records: tuple[Record, ...]
    account_id: str
    token: str
    secret: str
    application_id: str
    numbers: tuple[str, ...]

    def __repr__(self) -> str:
        return f"FirstRecords(account_id={self.account_id!r})"


def first_records(
    random_bytes: RandomBytes, now_ms: int, *, demo: bool, callback_url: str | None, simulator: bool
) -> FirstRecords:
    """An account with a credential, an application and two numbers, and the simulated carrier if it is on."""
    if demo:
        account_id, token, secret = DEMO_ACCOUNT, DEMO_TOKEN, DEMO_SECRET
        application_id, numbers = DEMO_APPLICATION, DEMO_NUMBERS
    else:
        account_id, token, secret = (
            new_account_id(random_bytes),
            new_token(random_bytes),
            new_secret(random_bytes),
        )
        application_id = str(uuid.UUID(bytes=random_bytes(16), version=4))
        numbers = FIRST_NUMBERS
    records: list[Record] = [
        Account(id=account_id, name="First account", created_ms=now_ms),
        Credential(
            token=token,
            account_id=account_id,
            secret_sha256=secret_sha256(secret),
            label="first",
            created_ms=now_ms,
        ),
        Application(
            id=application_id,
            account_id=account_id,
            name="First application",
            callback_url=callback_url,
            created_ms=now_ms,
        ),
    ]
    records += [
        Number(
            number=number,
            kind=NumberKind.E164,
            account_id=account_id,
            application_id=application_id,
            created_ms=now_ms,
        )
        for number in numbers
    ]
    if simulator:
        records += [
            Carrier(id="simulator", kind="simulator", in_doubt=InDoubt.RESEND, created_ms=now_ms),
            Route(id="all-to-simulator", carrier_id="simulator", created_ms=now_ms),
        ]
    return FirstRecords(tuple(records), account_id, token, secret, application_id, numbers)
