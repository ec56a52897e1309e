"""The API keeps to its own description, whatever it is sent: no fault of its own, no answer of another form."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from remend.ledger import Patch
from remend.service.accounts import Role
from remend.service.service import Service
from remend.web.app import create_app

EXAMPLES = 6  # per operation
# What is left out: that all that fits the description is accepted. A reserved name, or closing without a note, is not.


def test_every_answer_is_one_that_was_described(service: Service, patch: Patch, tokens: dict[Role, str]) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(service))
    headers = {"Authorization": f"Bearer {tokens[Role.ADMIN]}"}
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path.endswith("/events"):  # a stream has no end
            continue

        @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def answered(case: Any) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

        answered()
    assert asked > 20 * EXAMPLES / 2
