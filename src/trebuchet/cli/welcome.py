"""What `serve` prints when it is ready. Pure."""

import shlex

from trebuchet.admin.bootstrap import FIRST_HANDSET
from trebuchet.app import FIRST_PERSON, Ready

# The snippets begin at the margin: pasted with blanks before them, Python would refuse its lines.
FIRST_RUN = """\
Trebuchet is ready at {url}

Accept a message:

curl -u {token}:{secret} {url}/v2/users/{account}/messages \\
  -H 'Content-Type: application/json' \\
  -d '{{"from":"{number}","to":"{recipient}","text":"Hello","applicationId":"{application}"}}'

The same in Python, after pip install bandwidth-sdk==23.3.1:

import bandwidth
api = bandwidth.MessagesApi(bandwidth.ApiClient(bandwidth.Configuration(
    host="{url}/api/v2", ignore_operation_servers=True,
    username="{token}", password="{secret}")))
request = {{"from": "{number}", "to": ["{recipient}"], "text": "Hello",
           "applicationId": "{application}"}}
print(api.create_message("{account}", bandwidth.MessageRequest(**request)).id)
"""

HANDSET = """
Read it on the simulated handset:

curl '{url}/sim/v1/handsets/{recipient}/messages?wait=10s'
"""

WHERE = """
Account       {account}
Application   {application}
Numbers       {numbers}
Data          {data}
Admin token   in {admin_token}
API, docs     {url}/docs
Follow all    trebuchet tail --url {url} --data {data_quoted}
"""

LOOPBACK = """
Callbacks may reach this machine itself, because the gateway listens on loopback and simulates its carrier.
"""

SHOWN_ONCE = """
The secret is not shown again; `trebuchet credentials create {account}` makes another one.
"""


def console(ready: Ready) -> str:
    """Where the console is, and how to get in the first time."""
    if not ready.console:
        return ""
    lines = f"Console       {ready.base_url}/\n"
    if ready.console_password is not None:
        lines += f"Log in as     {FIRST_PERSON}, password {ready.console_password} (not shown again)\n"
    return lines


def welcome(ready: Ready, *, demo: bool) -> str:
    """The text for a gateway that listens: with snippets on the first run and in demo mode, else one line."""
    if ready.secret is None or not (ready.first_run or demo):
        return f"Trebuchet is ready at {ready.base_url}\n{console(ready)}"
    template = (
        FIRST_RUN,
        HANDSET if ready.simulator else "",
        WHERE,
        LOOPBACK if ready.loopback_callbacks else "",
        "" if demo else SHOWN_ONCE,
    )
    head, rest = template[0].split("\n", 1)
    template = (f"{head}\n{console(ready)}{rest}", *template[1:])
    return "".join(template).format(
        url=ready.base_url,
        account=ready.account_id,
        token=ready.token,
        secret=ready.secret,
        application=ready.application_id,
        number=ready.numbers[0],
        numbers=", ".join(ready.numbers),
        recipient=FIRST_HANDSET,
        data=ready.data_dir,
        data_quoted=shlex.quote(str(ready.data_dir)),
        admin_token=ready.admin_token_path,
    )
