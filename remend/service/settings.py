"""The table `[service]` of `remend.toml`."""

from __future__ import annotations

from dataclasses import dataclass

from core.toml_table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """How the service listens and how long things last."""

    host: str = "127.0.0.1"
    port: int = 8600
    tls_certificate: str = ""  # path of a PEM file; an address that others can reach needs it
    tls_key: str = ""  # path of the PEM file with its key
    learn_s: float = 90.0  # of a robot's clock, from which its health is learnt
    false_alarms_per_hour: float = 0.1  # of each robot's detector
    session_hours: float = 12.0
    confirm_minutes: float = 10.0  # that a password counts for what is asked again: high risk, users, tokens, thawing
    decision_hours: float = 24.0  # evidence older than this cannot be approved any more
    search_rollouts: int = 300  # that an incident may cost
    evidence: str = ""  # path of a file that says what evidence must show; without one that of Remend
    policy: str = ""  # path of the file that says what the service may do; by default policy.toml in the home folder
    webhooks: tuple[str, ...] = ()  # addresses that are told of every row of the audit log
    webhook_variable: str = ""  # environment variable with the secret that signs what they are told


def read_service_settings(table: Table) -> ServiceSettings:
    """Settings from a table of which only the keys that differ from the defaults need be there.

    Raises:
        BadInput: a key is not known, or a value is out of range.
    """
    default = ServiceSettings()

    def number(key: str, low: float, high: float, otherwise: float) -> float:
        return table.number(key, low, high) if table.has(key) else otherwise

    read = ServiceSettings(
        host=table.text("host") if table.has("host") else default.host,
        port=table.whole("port", 0, 65535) if table.has("port") else default.port,
        tls_certificate=table.text("tls_certificate") if table.has("tls_certificate") else default.tls_certificate,
        tls_key=table.text("tls_key") if table.has("tls_key") else default.tls_key,
        learn_s=number("learn_s", 20.0, 3600.0, default.learn_s),
        false_alarms_per_hour=number("false_alarms_per_hour", 1e-4, 60.0, default.false_alarms_per_hour),
        session_hours=number("session_hours", 0.1, 24.0 * 30, default.session_hours),
        confirm_minutes=number("confirm_minutes", 0.5, 24.0 * 60, default.confirm_minutes),
        decision_hours=number("decision_hours", 0.1, 24.0 * 30, default.decision_hours),
        search_rollouts=(
            table.whole("search_rollouts", 0, 100_000) if table.has("search_rollouts") else default.search_rollouts
        ),
        evidence=table.text("evidence") if table.has("evidence") else default.evidence,
        policy=table.text("policy") if table.has("policy") else default.policy,
        webhooks=table.texts("webhooks") if table.has("webhooks") else default.webhooks,
        webhook_variable=table.text("webhook_variable") if table.has("webhook_variable") else default.webhook_variable,
    )
    for url in read.webhooks:
        if not url.startswith(("http://", "https://")):
            raise table.fail("webhooks", f"{url!r} is no address; it begins with https:// or http://")
    table.close()
    return read
