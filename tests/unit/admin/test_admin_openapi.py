"""The description of the admin API has every call of it, and no other."""

import json
import re

import jsonschema_rs
import pytest
import schemathesis
from starlette.routing import Route

from admin.contexts import context
from trebuchet.admin import app, openapi
from trebuchet.admin.records import RESOURCES, Resource
from trebuchet.api.openapi import document

PATHS = openapi.paths()
DOCUMENT = document("http://127.0.0.1:8080", PATHS)
METHODS = ("get", "post", "patch", "delete")


def test_every_route_is_described_and_every_description_is_a_route() -> None:
    """Path by path and method by method."""
    served = {
        (f"/admin/v1{route.path}", method.lower())
        for route in app.build(context()).routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    described = {(path, method) for path, item in PATHS.items() for method in item if method in METHODS}
    assert described == served


def test_the_whole_document_is_valid() -> None:
    """With the messages API it makes one OpenAPI 3.1 document."""
    schemathesis.openapi.from_dict(DOCUMENT).validate()


def test_operation_ids_are_different() -> None:
    """Also from those of the messages API."""
    ids = [item[m]["operationId"] for item in DOCUMENT["paths"].values() for m in METHODS if m in item]
    assert len(ids) == len(set(ids))


def test_every_call_needs_the_admin_token() -> None:
    """The scheme that each names is there."""
    for item in PATHS.values():
        for method in METHODS:
            assert item.get(method, {"security": [{"adminToken": []}]})["security"] == [{"adminToken": []}]
    assert DOCUMENT["components"]["securitySchemes"]["adminToken"]["scheme"] == "bearer"


def test_what_paths_refer_to_is_there() -> None:
    """Only to the schemas of problems."""
    referred = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(PATHS)))
    assert referred == {"Problem", "NotFound"}
    assert referred <= set(DOCUMENT["components"]["schemas"])


@pytest.mark.parametrize("resource", RESOURCES, ids=[resource.path for resource in RESOURCES])
def test_fields_needed_at_creation_are_required_there_only(resource: Resource) -> None:
    """A change may leave any out; neither takes an unknown one."""
    base = f"/admin/v1/{resource.path}"
    one = base + "".join(f"/{{{key}}}" for key in resource.key)
    made = PATHS[base]["post"]["requestBody"]["content"]["application/json"]["schema"]
    bodies = [made["anyOf"][0] if resource.bulk else made]
    assert set(bodies[0].get("required", ())) == set(resource.needed)
    if resource.changeable:
        bodies.append(PATHS[one]["patch"]["requestBody"]["content"]["application/json"]["schema"])
        assert "required" not in bodies[1]
    for body in bodies:
        assert not jsonschema_rs.is_valid(body, {**dict.fromkeys(resource.needed, "x"), "unknown": 1})


def test_no_secret_is_in_the_description_of_a_record() -> None:
    """Secrets appear in the answers that make them, and in none that shows a record."""
    for path in ("/admin/v1/applications/{id}", "/admin/v1/accounts/{id}/credentials"):
        answer = json.dumps(PATHS[path]["get"]["responses"]["200"])
        assert not re.search(r'"(secret|secret_sha256|signing_secret|callback_password)"', answer)
