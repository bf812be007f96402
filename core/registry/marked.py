"""YAML read with its places: every fault that is found names line and column.

Only what a file of rules needs is read: mappings, lists and plain values. Anchors and references
are refused, for they let a small file stand for a huge one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import yaml
from yaml.error import Mark, MarkedYAMLError
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, DocumentStartEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from core.texts import t

if TYPE_CHECKING:
    from yaml._yaml import Mark as _CMark

MOST_BYTES = 256 * 1024
_DEEPEST = 20
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, order=True)
class Fault:
    """Something in the file that cannot be so."""

    line: int
    """From 1; 0 where it is about the whole file."""
    column: int
    what: str

    def said(self, name: str) -> str:
        """With the file's name."""
        if not self.line:
            return f"{name}: {self.what}"
        place = t("rules.place", name=name, line=self.line, column=self.column)
        return f"{place}: {self.what}"


@dataclass
class Reader:
    """Takes nodes apart and collects what is wrong with them; it never stops at the first fault."""

    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)

    def fault(self, node: Node | None, what: str) -> None:
        """Note a fault at a node."""
        self.faults.append(_at(node.start_mark if node else None, what))

    def warn(self, node: Node | None, what: str) -> None:
        """Note something that is allowed and probably not meant."""
        self.warnings.append(_at(node.start_mark if node else None, what))

    def root(self, text: str) -> Node | None:
        """The file's only document; None where it is empty or no YAML."""
        if len(text.encode("utf-8", "replace")) > MOST_BYTES:
            self.fault(None, t("rules.yaml.large", most=f"{MOST_BYTES // 1024} KiB"))
            return None
        try:
            if not self._plain(text):
                return None
            return yaml.compose(text, Loader=yaml.SafeLoader)
        except MarkedYAMLError as error:
            tab = "\\t" in (error.problem or "")
            words = t("rules.yaml.tab") if tab else t("rules.yaml.bad", what=error.problem or "")
            self.faults.append(_at(error.problem_mark or error.context_mark, words))
        except yaml.YAMLError as error:  # a character that YAML does not admit
            self.fault(None, t("rules.yaml.bad", what=str(error).splitlines()[0]))
        return None

    def _plain(self, text: str) -> bool:
        """Whether the text can be taken apart: one document, no references, not too deep."""
        depth = documents = 0
        before = len(self.faults)
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
                self.faults.append(_at(event.start_mark, t("rules.yaml.anchor")))
            depth += isinstance(event, CollectionStartEvent)
            depth -= isinstance(event, CollectionEndEvent)
            documents += isinstance(event, DocumentStartEvent)
            if depth > _DEEPEST:
                self.faults.append(_at(event.start_mark, t("rules.yaml.deep")))
                return False
            if documents > 1:
                self.faults.append(_at(event.start_mark, t("rules.yaml.documents")))
                return False
        return len(self.faults) == before

    def mapping(
        self, node: Node | None, known: Iterable[str] | None = None, what: str = ""
    ) -> dict[str, tuple[ScalarNode, Node]]:
        """Key → (its node, its value's node). Unknown and repeated keys are faults.

        Args:
            known: the keys there may be; None for any.
            what: what the mapping stands for, for the fault where it is none.
        """
        if node is None or empty(node):
            return {}
        if not isinstance(node, MappingNode):
            self.fault(node, t("rules.need.mapping", what=what))
            return {}
        names = None if known is None else list(known)
        found: dict[str, tuple[ScalarNode, Node]] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self.fault(key, t("rules.need.key"))
            elif key.value in found:
                line = found[key.value][0].start_mark.line + 1
                self.fault(key, t("rules.repeated", name=key.value, line=line))
            elif names is not None and key.value not in names:
                self.fault(key, _unknown(key.value, names))
            else:
                found[key.value] = (key, value)
        return found

    def items(self, node: Node | None, what: str) -> Sequence[Node]:
        """The parts of a list."""
        if node is None or empty(node):
            return ()
        if not isinstance(node, SequenceNode):
            self.fault(node, t("rules.need.list", what=what))
            return ()
        return list(node.value)

    def text(self, node: Node | None, what: str, most: int = 200) -> str:
        """A text that is not empty; "" where it is none. ``None``, ``no`` and ``12`` are texts as
        they stand."""
        if node is None or not isinstance(node, ScalarNode) or not node.value.strip():
            self.fault(node, t("rules.need.text", what=what))
            return ""
        text: str = node.value.strip()
        if len(text) > most or any(ord(c) < 32 or ord(c) == 127 for c in text):
            self.fault(node, t("rules.need.short", what=what, most=most))
            return ""
        return text

    def texts(self, node: Node | None, what: str) -> tuple[tuple[str, Node], ...]:
        """A list of texts, each with its node; one text stands for a list of one."""
        nodes = [node] if isinstance(node, ScalarNode) and not empty(node) else None
        read = [(self.text(n, what), n) for n in nodes or self.items(node, what)]
        return tuple((text, n) for text, n in read if text)

    def flag(self, node: Node, what: str, default: bool) -> bool:
        """True or false."""
        value = plain(node)
        if isinstance(value, bool):
            return value
        self.fault(node, t("rules.need.flag", what=what))
        return default

    def whole(self, node: Node, what: str, low: int, high: int) -> int:
        """A whole number within bounds."""
        value = plain(node)
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        self.fault(node, t("rules.need.whole", what=what, low=low, high=high))
        return low

    def choice(self, node: Node, what: str, choices: Sequence[str]) -> str | None:
        """One of some words, in any case; None where it is another."""
        text = node.value.strip() if isinstance(node, ScalarNode) else ""
        for word in choices:
            if word.casefold() == text.casefold():
                return word
        near = get_close_matches(text, choices, 1)
        hint = t("rules.near", name=near[0]) if near else ""
        self.fault(node, t("rules.need.choice", what=what, names=", ".join(choices)) + hint)
        return None


def plain(node: Node) -> Any:
    """A node as YAML's safe loader would give it; a value that it does not take as its text."""
    if isinstance(node, SequenceNode):
        return [plain(part) for part in node.value]
    if isinstance(node, MappingNode):
        return {str(k.value): plain(v) for k, v in node.value}
    try:
        return yaml.constructor.SafeConstructor().construct_object(node)
    except (yaml.YAMLError, ValueError):
        return str(node.value)


def nodes(found: Mapping[str, tuple[ScalarNode, Node]]) -> Iterator[tuple[str, Node]]:
    """Key and value's node of each entry."""
    return ((name, value) for name, (_, value) in found.items())


def _unknown(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, 1)
    hint = t("rules.near", name=near[0]) if near else t("rules.known", names=", ".join(known))
    return t("rules.unknown_key", name=name[:80]) + hint


def empty(node: Node) -> bool:
    """Whether nothing was written there."""
    return isinstance(node, ScalarNode) and node.tag == f"{_TAG}null" and not node.style


def _at(mark: "Mark | _CMark | None", what: str) -> Fault:
    return Fault(mark.line + 1, mark.column + 1, what) if mark else Fault(0, 0, what)
