"""Answers of the admin API."""

from typing import Any

import msgspec
from starlette.responses import Response

from trebuchet.api.problems import Problem

_JSON = "application/json;charset=utf-8"


def answer(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type=_JSON)


def no_content() -> Response:
    return Response(status_code=204)


def problem_answer(problem: Problem) -> Response:
    response = Response(problem.encode(), problem.status, media_type=_JSON)
    response.raw_headers += [(name.lower(), value) for name, value in problem.headers]
    return response
