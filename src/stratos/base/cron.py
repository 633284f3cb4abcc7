"""The names that cron schedules may go by in place of their five fields."""

from __future__ import annotations

from collections.abc import Mapping

SCHEDULES_BY_NAME: Mapping[str, str] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
