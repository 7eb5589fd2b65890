"""Mail in and out between relays: the transport of MM4, which knows nothing of multimedia messages.

The listener is aiosmtpd's server with its DATA, its limits and its manners replaced. The client is our own: it must
tell a mail that the peer cannot have from one whose fate is unknown, and the preparation of DATA in a general
client costs 4.6 ms of CPU for a picture of 300 kB, here 1.0 ms.

mail (envelopes, replies, what DATA does to lines; pure) · errors (what can go wrong outwards) · settings · tls
connection (one dialogue with a peer) · client (kept connections) · session (one peer of ours) · listener
"""

from trebuchet.smtp.client import SmtpPool
from trebuchet.smtp.connection import Submitted
from trebuchet.smtp.errors import SmtpError, SmtpLost, SmtpRefused, SmtpTemporary, SmtpUnavailable
from trebuchet.smtp.listener import Handler, SmtpListener
from trebuchet.smtp.mail import Envelope, Reply
from trebuchet.smtp.settings import ClientSettings, ListenerSettings

__all__ = [
    "ClientSettings",
    "Envelope",
    "Handler",
    "ListenerSettings",
    "Reply",
    "SmtpError",
    "SmtpListener",
    "SmtpLost",
    "SmtpPool",
    "SmtpRefused",
    "SmtpTemporary",
    "SmtpUnavailable",
    "Submitted",
]
