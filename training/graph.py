"""Where each model stands in a drawing of who grew from whom: a column for each generation, no two lines crossing."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from training.models import ModelVersion

WIDTH, HEIGHT = 220, 56  # of a box
GAP_X, GAP_Y = 72, 20


@dataclass(frozen=True)
class Node:
    version: ModelVersion
    x: int
    y: int

    @property
    def middle(self) -> int:
        return self.y + HEIGHT // 2

    @property
    def right(self) -> int:
        return self.x + WIDTH


@dataclass(frozen=True)
class Graph:
    nodes: list[Node]
    edges: list[tuple[Node, Node]]
    width: int
    height: int


def draw(versions: Iterable[ModelVersion]) -> Graph:
    """Parents stand left of their children, at the height of the middle one."""
    rows = sorted(versions, key=lambda version: version.pk)
    children: defaultdict[int | None, list[ModelVersion]] = defaultdict(list)
    for version in rows:
        children[version.parent_id].append(version)
    found: dict[int, Node] = {}
    line = 0

    def place(version: ModelVersion, depth: int) -> Node:
        nonlocal line
        below = [place(child, depth + 1) for child in children[version.pk]]
        if below:
            y = (below[0].y + below[-1].y) // 2
        else:
            y = line * (HEIGHT + GAP_Y)
            line += 1
        node = found[version.pk] = Node(version, depth * (WIDTH + GAP_X), y)
        return node

    for root in children[None]:
        place(root, 0)
    nodes = sorted(found.values(), key=lambda node: (node.x, node.y))
    edges = [(found[node.version.parent_id], node) for node in nodes if node.version.parent_id]
    width = max((node.right for node in nodes), default=0)
    return Graph(nodes, edges, width, max(0, line * (HEIGHT + GAP_Y) - GAP_Y))
