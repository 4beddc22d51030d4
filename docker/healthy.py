"""Exit code 0 if an address answers 200: for images without curl."""

import sys
from urllib.request import urlopen

with urlopen(sys.argv[1], timeout=4) as answer:
    sys.exit(answer.status != 200)
