"""Graphs of other packs, as files, rewritten into nodes of this pack and of the host.

``rewrite`` decides what each old node becomes, with the expanders of the tables; ``sheets`` reads and writes the file, ``follow`` knows
where a link leads, ``fields`` what a node's stored values mean, ``draw`` puts the new nodes in, ``borders`` takes links through the
borders of subgraphs, and ``arrange`` moves down what would be covered.
"""

from __future__ import annotations

from typing import Any

from .. import known_rows
from ..convert import FindFile, NodeInfo, Report, converted_prompt, names_of
from .draw import drawn_graph
from .follow import Spot, Ways, node_mode
from .rewrite import Rewrite
from .sheets import MUTED, ROOT, Sheets

WORLD = ("ADE_", "ACN_", "ADMD_")
"""How ids of AnimateDiff packs begin: those without a row are named in the report."""


def converted(document: Any, find: FindFile, info: NodeInfo) -> tuple[Any, Report]:
    """A graph without nodes of other packs as far as they can be replaced, of the kind it was, and what became of each.

    Args:
        document: what the front end saves, an API prompt, or either as ``{"workflow": ...}`` or ``{"prompt": ...}``.
        find: what a model file is called here.
        info: the definition of a node type, as the host tells it to a browser.

    Raises:
        ValueError: it is no graph.
    """
    if isinstance(document, dict):
        if isinstance(document.get("nodes"), list):
            return converted_saved(document, find, info)
        inside = [name for name in ("workflow", "prompt") if isinstance(document.get(name), dict) and "class_type" not in document[name]]
        if inside:
            both = {name: converted(document[name], find, info) for name in inside}
            return {**document, **{name: new for name, (new, _) in both.items()}}, both[inside[0]][1]
        if document and all(isinstance(node, dict) and isinstance(node.get("inputs"), dict) for node in document.values()):
            return converted_prompt(document, find)
    raise ValueError("Needed a graph: what ComfyUI saves, or a prompt in API form. Got something else; save the graph again.")


def converted_saved(document: dict[str, Any], find: FindFile, info: NodeInfo) -> tuple[dict[str, Any], Report]:
    """A saved graph without old nodes as far as they can be replaced, and what became of each.

    Raises:
        ValueError: the file is not what a front end saves.
    """
    sheets = Sheets(document)
    ways, kept = Ways(sheets), dict[Spot, str]()
    while True:
        try:
            rewrite = Rewrite(sheets, ways, find, info, kept)
        except RecursionError:
            raise ValueError("The graph is too deep: hundreds of old nodes take something from one another in a row.") from None
        if not rewrite.stuck:
            break
        kept |= rewrite.stuck
    report = rewrite.report
    _tell(rewrite, kept, report)
    return (drawn_graph(rewrite) if rewrite.outputs else document), report


def _tell(rewrite: Rewrite, kept: dict[Spot, str], report: Report) -> None:
    """What became of each old node, in the order of the file."""
    rows = known_rows()
    for sheet, key, node in rewrite.sheets.every_node():
        spot, where = (sheet.number, key), f" in {sheet.body.get('name') or 'a subgraph'}" if sheet.number != ROOT else ""
        row = rows.get(node["type"])
        if row is None:
            if node["type"].startswith(WORLD):
                report.left.append(f"{node['type']} ({key}{where}): this node is not known here.")
        elif spot in kept:
            report.left.append(f"{row.title} ({key}{where}): {kept[spot]}.")
        elif rewrite.is_drawn(spot):
            report.done.append(f"{row.title} ({key}{where}): {names_of(rewrite.made[spot])}.")
        else:
            how = "muted" if node_mode(node) == MUTED else "bypassed"
            report.done.append(f"{row.title} ({key}{where}): it was {how} and gave only values to other nodes; it is gone.")
    for name, group in ((rewrite.sheets.document.get("extra") or {}).get("groupNodes") or {}).items():
        if any(node.get("type") in rows for node in group.get("nodes") or ()):
            report.left.append(f"Group node {name}: group nodes are not rewritten; convert it to nodes or to a subgraph first.")
