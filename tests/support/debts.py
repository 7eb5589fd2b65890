"""What peers are owed, in memory."""

from collections.abc import Sequence

from trebuchet.model.owed import OwedMail


class MemoryDebts:
    """`carriers.base.Debts`; `mails` by id."""

    def __init__(self) -> None:
        self.mails: dict[str, OwedMail] = {}

    async def of(self, carrier_id: str, limit: int) -> list[OwedMail]:
        return [mail for mail in self.mails.values() if mail.carrier_id == carrier_id][:limit]

    def drop(self, ids: Sequence[str]) -> None:
        for id_ in ids:
            self.mails.pop(id_, None)
