"""How a suppressor holds back the actions of a composite alarm. Pure.

While the suppressor is in ALARM, no actions run. When the composite alarm changes its state, it waits first for the
suppressor to go into ALARM (`WaitPeriod`). When the suppressor leaves ALARM, the actions stay suppressed for a while
(`ExtensionPeriod`). At the end the actions of the present state run, unless it is the state before the suppression.
"""

from __future__ import annotations

from dataclasses import replace

from atoll.alarms.alarm import ALARM, Alarm, Suppression

BY_ALARM, BY_WAIT, BY_EXTENSION = "Alarm", "WaitPeriod", "ExtensionPeriod"


def entered(old: Alarm, new: Alarm, suppressor: str | None, now_ms: int) -> Alarm:
    """The alarm in its new state, suppressed if its actions may not run yet. `suppressor` is the suppressor's state."""
    known = new.suppression
    if known is None:
        if suppressor == ALARM:
            known = Suppression(BY_ALARM, None)
        elif _seconds(new, "ActionsSuppressorWaitPeriod"):
            known = Suppression(BY_WAIT, now_ms + 1000 * _seconds(new, "ActionsSuppressorWaitPeriod"))
        else:
            return new
    return replace(new, suppression=replace(known, before=known.before or old.state))


def followed(alarm: Alarm, suppressor: str | None, now_ms: int) -> Alarm:
    """The alarm after a change of the suppressor or the end of a period."""
    known = alarm.suppression
    if alarm.suppressor is None:
        return replace(alarm, suppression=None)
    if suppressor == ALARM:
        if known is None:
            return replace(alarm, suppression=Suppression(BY_ALARM, None))
        return replace(alarm, suppression=replace(known, by=BY_ALARM, until_ms=None))
    if known is not None and known.by == BY_ALARM:
        until_ms = now_ms + 1000 * _seconds(alarm, "ActionsSuppressorExtensionPeriod")
        known = replace(known, by=BY_EXTENSION, until_ms=until_ms)
    if known is not None and known.until_ms is not None and known.until_ms <= now_ms:
        known = None
    return replace(alarm, suppression=known)


def _seconds(alarm: Alarm, member: str) -> int:
    return int(alarm.configuration[member])


def reason(alarm: Alarm) -> str:
    """ActionsSuppressedReason."""
    assert alarm.suppression is not None
    return f"Actions suppressed by {alarm.suppression.by}"
