"""What holds for every endpoint, written into the OpenAPI document by one rule instead of at each."""

from typing import Any

from drf_spectacular.views import SpectacularAPIView

from annotation.doors import SIGNED_IN, Rule
from annotation.endpoints import BIGGEST_ID, NDJSON, REFUSALS, Endpoint
from annotation.repeating import HEADER, LONGEST

DETAIL = {"application/json": {"schema": {"$ref": "#/components/schemas/Detail"}}}
LIMITS: dict[str, dict[str, Any]] = {  # of what stands in addresses
    "integer": {"minimum": 0, "maximum": BIGGEST_ID},
    "string": {"pattern": "^[-a-zA-Z0-9_]+$"},
}
IDEMPOTENCY = {
    "in": "header",
    "name": HEADER,
    "schema": {"type": "string", "maxLength": LONGEST, "pattern": r"^[ -~]+$"},
    "description": "Drawn at random for each thing to be done: sent again within 24 hours, it is done once and the "
    "answer is the same.",
}


class Document(SpectacularAPIView):
    """The document itself, for whoever is signed in (SERVE_PERMISSIONS), or has any access key."""

    @classmethod
    def rule(cls, method: str) -> Rule:
        return Rule(SIGNED_IN)

    @classmethod
    def needs(cls, method: str) -> set[str]:
        return set()


def complete(result: dict[str, Any], generator: Any, **kwargs: Any) -> dict[str, Any]:
    """Which scope a key needs, and that it may lack it; too many requests; idempotency keys; lists as JSON Lines."""
    for path, _, method, callback in generator.endpoints:
        operation = result["paths"].get(path, {}).get(method.lower())
        view = getattr(callback, "cls", None)
        if operation is None or view is None or not issubclass(view, Endpoint):
            continue
        answers = operation["responses"]
        _may(answers, 429)
        if {} not in operation.get("security", [{}]):
            needed = " and ".join(f"`{scope}`" for scope in sorted(view.needs(method)))
            operation["description"] = f"{operation['description']}\n\nScope of an access key: {needed}."
            _may(answers, 403)
            if method == "POST" and not view.secret_answer:
                operation.setdefault("parameters", []).append(IDEMPOTENCY)
                for status in (400, 409, 422):
                    _may(answers, status)
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                parameter["schema"] |= LIMITS[parameter["schema"]["type"]]
            if parameter["name"] == "cursor":
                _may(answers, 404)
        _as_lines(answers, result["components"]["schemas"])
    return result


def _may(answers: dict[str, Any], status: int) -> None:
    more = answers.setdefault(str(status), {"content": {}, "description": REFUSALS[status].description})
    if not more["content"]:
        schema = REFUSALS[status].response if status == 400 else None
        more["content"] = {"application/json": {"schema": schema}} if schema else DETAIL


def _as_lines(answers: dict[str, Any], schemas: dict[str, Any]) -> None:
    """A list that comes in pages comes as JSON Lines too, a row in each."""
    content = answers.get("200", {}).get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    if (name := reference.rpartition("/")[2]).startswith("Paginated"):
        content[NDJSON] = {"schema": schemas[name]["properties"]["results"]["items"]}
