"""What a trial means for a case, as the people who work on it read it. Empty where none runs."""

from __future__ import annotations

from typing import Any

from rvr.core import events as e
from rvr.core.case import Case
from rvr.core.workflow import Workflow


def shown(case: Case, flow: Workflow) -> dict[str, Any] | None:
    """The arm in the desk's words, or why there is none; None outside of a trial."""
    design = flow.trial
    if design is None:
        return None
    told: dict[str, Any] = {
        "id": design.id,
        "name": design.name,
        "consents": list(design.consents),
        "drawn": case.draw is not None,
        "arm": None,
        "arm_name": None,
        "say": None,
        "outside": None,
        "overridden": None,
    }
    match case.draw:
        case e.ArmAllocated(arm=arm) if arm in design.arms:
            told |= {"arm": arm, "arm_name": design.arms[arm].name, "say": design.arms[arm].say}
        case e.NotRandomised(reason=reason):
            told["outside"] = reason
    if case.arm_overridden:
        options = flow.fields["override_reason"].options if "override_reason" in flow.fields else ()
        labels = {str(option.value): str(option.label) for option in options}
        told["overridden"] = labels.get(case.arm_overridden, case.arm_overridden)
    return told
