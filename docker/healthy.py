"""Exit code 0 if an address answers 200: for images without curl."""

import sys
from urllib.request import urlopen

with urlopen(sys.argv[1], timeout=4) as answer:  # noqa: S310  # an address of our own
    sys.exit(answer.status != 200)
