"""The API of a running service, from Python: what the command line uses, and other programs may.

with Client("http://127.0.0.1:8600", token) as service:
    for patch in service.patches("awaiting_approval"):
        print(patch.id, patch.rationale)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2 as httpx

from core.errors import BadInput, Conflict, Missing, Refused, RemendError, RobotFault
from core.records import Approval
from remend.codec import read_record
from remend.service.handling import Handled
from remend.web.resources import IncidentShown, IncidentWhole, OrderShown, PatchShown, PatchWhole, RobotShown

T = TypeVar("T")
_PREFIX = "/api/v1"
_ERRORS: Mapping[int, type[RemendError]] = {
    400: BadInput,
    401: Refused,
    403: Refused,
    404: Missing,
    409: Conflict,
    422: BadInput,
    429: Refused,
    503: RobotFault,
}


class Client:
    """One service. Use as a context manager. Every method raises what the service answers as an error of `core`.

    Args:
        url: of the service, such as "http://127.0.0.1:8600".
        token: made by `remend user token` or `POST /api/v1/tokens`.
    """

    def __init__(self, url: str, token: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self._url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=self._url, headers=headers, timeout=30.0, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def robots(self) -> tuple[RobotShown, ...]:
        """All robots."""
        return tuple(_read(RobotShown, each) for each in self._ask("GET", "/robots"))

    def incidents(self) -> Iterator[IncidentShown]:
        """All incidents, newest first, page by page."""
        for each in self._pages("/incidents", {}):
            yield _read(IncidentShown, each)

    def incident(self, incident_id: str) -> IncidentWhole:
        """One incident."""
        return _read(IncidentWhole, self._ask("GET", f"/incidents/{incident_id}"))

    def handle(self, incident_id: str, handling: str, note: str = "") -> Handled | None:
        """Acknowledge, mute, close or reopen an incident."""
        said = self._ask("POST", f"/incidents/{incident_id}/handling", {"handling": handling, "note": note})
        return None if said is None else _read(Handled, said)

    def patches(self, *statuses: str) -> Iterator[PatchShown]:
        """Patches, newest first, page by page; in some statuses, or in any."""
        for each in self._pages("/patches", {"status": list(statuses)}):
            yield _read(PatchShown, each)

    def patch(self, patch_id: str) -> PatchWhole:
        """One patch with everything that a decision needs."""
        return _read(PatchWhole, self._ask("GET", f"/patches/{patch_id}"))

    def decide(self, decision: str, patch: PatchWhole, reason: str, robot_name: str = "") -> Approval:
        """Decide on a patch as it was read; `decision` is "approve" or "reject".

        That of what is returned is "first_approve" where another person has to approve the same.
        """
        asked = {
            "reason": reason,
            "base_sha": patch.candidate.base_sha,
            "result_sha": patch.candidate.result_sha,
            "report_sha": patch.report_sha or "",
            "robot_name": robot_name,
            "first_id": patch.first_approval.id if patch.first_approval else "",
        }
        return _read(Approval, self._ask("POST", f"/patches/{patch.candidate.id}/{decision}", asked))

    def roll_back(self, robot_id: str, reason: str, key: str) -> OrderShown:
        """Ask a robot to return to the controller before; the same `key` again is the same order."""
        answer = self._ask("POST", f"/robots/{robot_id}/rollback", {"reason": reason}, {"Idempotency-Key": key})
        return _read(OrderShown, answer)

    def cancel(self, robot_id: str, reason: str, key: str) -> OrderShown:
        """End a robot's search for a patch, or its proof; the same `key` again is the same order."""
        answer = self._ask("POST", f"/robots/{robot_id}/cancel", {"reason": reason}, {"Idempotency-Key": key})
        return _read(OrderShown, answer)

    def hold(self, robot_id: str, reason: str, key: str) -> OrderShown:
        """Ask a robot to come to a stop and stay there; the same `key` again is the same order."""
        answer = self._ask("POST", f"/robots/{robot_id}/hold", {"reason": reason}, {"Idempotency-Key": key})
        return _read(OrderShown, answer)

    def resume(self, robot_id: str, reason: str, key: str) -> OrderShown:
        """Let a robot that is held go on; the same `key` again is the same order."""
        answer = self._ask("POST", f"/robots/{robot_id}/resume", {"reason": reason}, {"Idempotency-Key": key})
        return _read(OrderShown, answer)

    def order(self, order_id: str) -> OrderShown:
        """What became of an order."""
        return _read(OrderShown, self._ask("GET", f"/orders/{order_id}"))

    def freeze(self, reason: str) -> None:
        """Stop proposing, approving and promoting."""
        self._ask("POST", "/patching/freeze", {"reason": reason})

    def thaw(self, reason: str) -> None:
        """Let patching go on."""
        self._ask("POST", "/patching/thaw", {"reason": reason})

    def _pages(self, path: str, query: dict[str, Any]) -> Iterator[Any]:
        before: str | None = None
        while True:
            page = self._ask("GET", path, query={**query, **({"before": before} if before else {})})
            yield from page["items"]
            before = page["next"]
            if before is None:
                return

    def _ask(
        self,
        method: str,
        path: str,
        content: object = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            answer = self._http.request(method, _PREFIX + path, json=content, headers=headers, params=query)
        except httpx.HTTPError as error:
            raise Refused(
                f"no service answers at {self._url} ({error}); start `remend serve`, or set REMEND_URL"
            ) from None
        if answer.is_success:
            return answer.json() if answer.content else None
        try:
            detail = answer.json()["detail"]
        except (ValueError, KeyError, TypeError):
            detail = f"{self._url} answered {answer.status_code}"
        raise _ERRORS.get(answer.status_code, RobotFault)(str(detail))


def _read(kind: type[T], value: object) -> T:
    return read_record(kind, json.dumps(value))
