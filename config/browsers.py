"""What a browser may load and run on our pages (Content Security Policy, level 3), and on those of packages.

Even if text from a person or a model came through the sanitiser, it could not run: no script but our own files, none in
the page itself, no `eval`, no style in the page. Imports no Django, so that the settings can read it.
"""

from collections.abc import Callable
from typing import Any

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE

OURS = {
    "default-src": [NONE],
    "script-src": [SELF],
    "style-src": [SELF],
    "img-src": [SELF],
    "font-src": [SELF],
    "connect-src": [SELF],
    "form-action": [SELF],
    "base-uri": [NONE],
    "frame-ancestors": [NONE],
}
# The admin's theme has scripts and styles within its pages, and a library that evaluates attributes; Swagger's page
# sets styles and has drawings in its style sheet. Still only their own files, and nothing from elsewhere.
PACKAGED = {
    "/admin/": {"script-src": [SELF, UNSAFE_INLINE, UNSAFE_EVAL], "style-src": [SELF, UNSAFE_INLINE]},
    "/api/docs/": {"style-src": [SELF, UNSAFE_INLINE], "img-src": [SELF, "data:"]},
}


def packaged_pages(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Middleware: the wider policy of the pages that come in packages."""

    def respond(request: Any) -> Any:
        response = get_response(request)
        for prefix, wider in PACKAGED.items():
            if request.path.startswith(prefix):
                response._csp_replace = wider
        return response

    return respond
