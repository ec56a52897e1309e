"""Links to robots: how the service reads telemetry and hands over signed patches."""
