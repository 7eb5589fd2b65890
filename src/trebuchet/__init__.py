"""Trebuchet: a messaging gateway. The tree is the path of a message; each step is a module or a folder.

api            1   HTTP octets become a SendRequest, or a problem answer
accept         2   judged, placed in a lane, stored with all that follows in one change; then 202
media          2b  files of messages are fetched and held; the media store of accounts; pictures made to fit
outbox         3   committer (group commit), lanes (durable queues in order), backoff, pacing
routing        4   which carrier and which lane; pure
dispatch       5   from a lane to a link, and from the carrier's answer to what is stored
carriers       6   the seam to carriers and one folder per kind; supervisor runs them
receipts       7   a delivery receipt becomes a new status, an event and a callback, then is acknowledged
inbound        8   a message from a handset likewise
callbacks      9   events are POSTed to applications until they take them

model              the nouns, the status table and the ledger of receipts
protocols          wire formats without I/O
storage            schema, batch contract, engines, migrations
simulator          the pretend network: scenario, handsets, its API
admin              provisioning and operations API
console            pages over the same reads and accept()
housekeeping       expiry, receipt time-outs, retention
webclient          the one outbound HTTP client
webserver          the HTTP server around the applications
smtp               mail between relays, both ways
settings · errors · clock · telemetry · tracing · feed
standing · kept     how it all stands; what parts without storage keep
app                builds all of it; cli runs it
"""

__version__ = "0.1.0"
