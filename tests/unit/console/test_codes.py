"""The program text that sends a message says exactly that message, whatever is in it."""

import ast
import json
import shlex
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.console.codes import codes, curl, node, python

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50)


def body(text: str) -> dict[str, Any]:
    return {"from": "+12345678901", "to": ["+12025550123"], "text": text, "applicationId": "app", "tag": text}


@given(TEXTS)
def test_a_shell_reads_the_same_body(text: str) -> None:
    words = shlex.split(curl("http://127.0.0.1:8080", "u-demo", body(text)))
    assert words[1] == "http://127.0.0.1:8080/api/v2/users/u-demo/messages"
    assert json.loads(words[-1]) == body(text)


@given(TEXTS)
def test_python_reads_the_same_values(text: str) -> None:
    tree = ast.parse(python("http://127.0.0.1:8080", "u-demo", body(text)))
    (call,) = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "MessageRequest"
    ]
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    assert given == {
        "var_from": "+12345678901", "to": ["+12025550123"], "text": text, "application_id": "app", "tag": text,
    }  # fmt: skip


@pytest.mark.node
@pytest.mark.parametrize("text", ["plain", "'\"`${1}\\", "a\nb\u2028c\u2029", "😀 </script>"])
def test_node_reads_the_same_values(text: str) -> None:
    """The real interpreter, with the SDK's place taken by one that prints what it is given."""
    code = node("http://127.0.0.1:8080", "u-demo", body(text))
    stub = (
        "const Bandwidth = function () { this.v2 = { Message: { send: (given) => {"
        " console.log(JSON.stringify(given)); return Promise.resolve({ id: 1 }); } } }; };"
    )
    program = code.replace('const Bandwidth = require("node-bandwidth");', stub)
    found = shutil.which("node")
    assert found is not None
    printed = subprocess.run([found, "-e", program], capture_output=True, check=True, text=True).stdout
    assert json.loads(printed.split("\n")[0]) == body(text)


def test_no_secret_is_in_it() -> None:
    for each in codes("http://127.0.0.1:8080", "u-demo", body("x")):
        assert "TREBUCHET_SECRET" in each["code"]
