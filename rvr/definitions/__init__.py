"""Reads `workflows/` into the core's values, and finds every fault at once.

A definition's version is the hash of everything that it consists of: the workflow's own files, the parts that it
shares with others, the force's file and the risk instruments. Cases keep the version they began with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rvr.core import risk
from rvr.core import workflow as w
from rvr.core.errors import DefinitionFault
from rvr.core.force import Contacts
from rvr.core.retention import Retention
from rvr.definitions.forces import read_contacts
from rvr.definitions.reading import Reading, digest
from rvr.definitions.retention import FILE as RETENTION
from rvr.definitions.retention import read_retention
from rvr.definitions.workflows import PARTS, WorkflowReader

__all__ = ["PARTS", "Definitions", "digest", "load", "load_stored"]


@dataclass(frozen=True)
class Definitions:
    """Everything that the desk runs on."""

    workflows: Mapping[str, w.Workflow]
    """By id."""
    contacts: Contacts = field(default_factory=Contacts)
    retention: Retention = field(default_factory=Retention)

    @property
    def instruments(self) -> dict[str, risk.Instrument]:
        """The risk tools of all workflows, by id."""
        return {id_: tool for flow in self.workflows.values() for id_, tool in flow.instruments.items()}

    def by_hash(self, digest: str) -> w.Workflow | None:
        return next((flow for flow in self.workflows.values() if flow.hash == digest), None)


def load(root: Path, force: str) -> Definitions:
    """Every workflow under this folder, for this force.

    Raises DefinitionFault with all faults of all files, each with its file and key.
    """
    faults: list[str] = []
    texts = {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.toml"))
    }
    flows: dict[str, w.Workflow] = {}
    force_file = f"forces/{force}.toml"
    if force_file not in texts:
        raise DefinitionFault([f"{force_file}: there is no such force"])
    for name in sorted({file.split("/")[0] for file in texts if file.endswith("/workflow.toml")}):
        used = (f"{name}/", "parts/", "risk/", "tables/")
        files = {file: text for file, text in texts.items() if file.startswith(used) or file == force_file}
        files.pop(RETENTION, None)
        reader = WorkflowReader(name, files)
        flow = reader.workflow()
        faults += [fault for fault in reader.faults if fault not in faults]
        if flow is not None:
            flows[flow.id] = flow
    apart, partners = Reading(texts), {partner for flow in flows.values() for partner in flow.force.partners}
    wishes = {name: _codes(flows.values(), name) for name in ("victim_language", "officer_wish")}
    contacts = read_contacts(apart, f"contacts/{force}.toml", partners, wishes)
    retention = read_retention(apart)
    faults += apart.faults
    if faults:
        raise DefinitionFault(faults)
    return Definitions(flows, contacts, retention)


def _codes(flows: Iterable[w.Workflow], field: str) -> frozenset[str]:
    """The codes of the field's answers in any of these workflows."""
    asked = (flow.fields[field] for flow in flows if field in flow.fields)
    return frozenset(str(option.value) for one in asked for option in one.options)


def load_stored(workflow_id: str, files: Mapping[str, str]) -> w.Workflow:
    """A workflow from its stored text: how a running case gets the definition that it began with."""
    reader = WorkflowReader(workflow_id, files)
    flow = reader.workflow()
    if flow is None or reader.faults:
        raise DefinitionFault(reader.faults)
    return flow
