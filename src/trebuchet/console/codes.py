"""The program text that sends a message: for a shell, and for SDKs of Python and Node.js. Pure.

The secret is not in it: the reader's environment has it, as TREBUCHET_TOKEN and TREBUCHET_SECRET.
"""

import json
import shlex
from typing import Any

from trebuchet.model.message import Message


def body_of(message: Message) -> dict[str, Any]:
    """The request that a message was, as far as it is known: what was not given is left out."""
    optional = {
        "media": list(message.media) if message.media else None,
        "tag": message.tag,
        "priority": message.priority,
    }
    return {
        "from": message.source,
        "to": list(message.destinations) if len(message.destinations) > 1 else message.destinations[0],
        "text": message.text,
        "applicationId": message.application_id,
        **{name: value for name, value in optional.items() if value},
    }


def codes(base_url: str, account_id: str, body: dict[str, Any]) -> list[dict[str, str]]:
    """The same request in each language: `language`, `title` and `code`."""
    return [
        {"language": "shell", "title": "curl", "code": curl(base_url, account_id, body)},
        {"language": "python", "title": "Python", "code": python(base_url, account_id, body)},
        {"language": "javascript", "title": "Node.js", "code": node(base_url, account_id, body)},
    ]


def curl(base_url: str, account_id: str, body: dict[str, Any]) -> str:
    url = f"{base_url}/api/v2/users/{account_id}/messages"
    return " \\\n  ".join(
        (
            f"curl {shlex.quote(url)}",
            '-u "$TREBUCHET_TOKEN:$TREBUCHET_SECRET"',
            "-H 'Content-Type: application/json'",
            f"--data-binary {shlex.quote(json.dumps(body, ensure_ascii=False))}",
        )
    )


_PYTHON_NAMES = {"from": "var_from", "applicationId": "application_id"}


def python(base_url: str, account_id: str, body: dict[str, Any]) -> str:
    """For `bandwidth-sdk`."""
    given = {**body, "to": body["to"] if isinstance(body["to"], list) else [body["to"]]}
    arguments = "".join(
        f"            {_PYTHON_NAMES.get(name, name)}={value!r},\n" for name, value in given.items()
    )
    return (
        "import os\n\n"
        "import bandwidth\n\n"
        "configuration = bandwidth.Configuration(\n"
        f"    host={base_url + '/api/v2'!r},\n"
        "    ignore_operation_servers=True,\n"
        '    username=os.environ["TREBUCHET_TOKEN"],\n'
        '    password=os.environ["TREBUCHET_SECRET"],\n'
        ")\n"
        "with bandwidth.ApiClient(configuration) as client:\n"
        "    message = bandwidth.MessagesApi(client).create_message(\n"
        f"        {account_id!r},\n"
        "        bandwidth.MessageRequest(\n"
        f"{arguments}"
        "        ),\n"
        "    )\n"
        "print(message.id)\n"
    )


def node(base_url: str, account_id: str, body: dict[str, Any]) -> str:
    """For `node-bandwidth`, the SDK of npm that speaks this API's version 2."""
    request = json.dumps(body, ensure_ascii=False, indent=2)
    # Line separators of Unicode end a line of a program that is older than ES2019.
    request = request.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return (
        'const Bandwidth = require("node-bandwidth");\n\n'
        "const client = new Bandwidth({\n"
        f"  userId: {json.dumps(account_id)},\n"
        "  apiToken: process.env.TREBUCHET_TOKEN,\n"
        "  apiSecret: process.env.TREBUCHET_SECRET,\n"
        f"  baseUrl: {json.dumps(base_url)},\n"
        "});\n"
        f"client.v2.Message.send({request})\n"
        "  .then((message) => console.log(message.id));\n"
    )
