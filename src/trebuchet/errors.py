"""The error tree of the gateway.

    TrebuchetError                what every error of ours derives from
    ├── SettingsError             the configuration is wrong             operator's fault, retrying does not help
    ├── StorageError              the database could not do it           our fault, retrying may help
    │   ├── StorageUnavailable    closed, full or failing disk           our fault, retrying helps
    │   ├── LeaseLost             another node has the lane          nobody's fault, retrying does not help
    │   └── Conflict              a row stands in the way                caller's fault, retrying does not help
    │       ├── AlreadyExists     the name is taken
    │       ├── InUse             other rows need this one
    │       └── IdempotencyMismatch   same key, different request
    ├── NotFound                  no such thing                          caller's fault
    └── Rejected                  a request that we do not take          caller's fault
        └── QueueFull             the queue of an account or of the gateway is full; retrying helps later

Errors of the outbound client live with it and derive from TrebuchetError too. Those of `protocols.*` derive
from ValueError: a protocol knows nothing of the gateway.
"""


class TrebuchetError(Exception):
    """Something went wrong in the gateway."""


class StorageError(TrebuchetError):
    """The database could not carry out the change."""


class StorageUnavailable(StorageError):
    """The database is closed, its disk is full or it does not answer."""


class Conflict(StorageError):
    """An existing row stands in the way."""


class AlreadyExists(Conflict):
    """The name is already taken."""


class InUse(Conflict):
    """Other records still need this one."""


class IdempotencyMismatch(Conflict):
    """The Idempotency-Key was used before with a different request."""


class LeaseLost(StorageError):
    """Another node owns the lane by now: what its former owner wanted to store is not stored."""


class NotFound(TrebuchetError):
    """There is no such record."""


class Rejected(TrebuchetError):
    """The request is not taken."""


class QueueFull(Rejected):
    """The queue is full; the same request may be taken later."""
