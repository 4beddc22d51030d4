"""Run every benchmark beside this file and keep their last lines in var/bench.json: `make bench`.

A benchmark is a script that ends by printing one JSON object; modules without a `__main__` part only help.
Arguments (`--quick`) go to each, and those that have no quick size are left out then. One that fails is reported and
recorded; it stops none of the others.
"""

import json
import subprocess
import sys
from pathlib import Path

from config.paths import VAR

HERE = Path(__file__).parent


def main(arguments: list[str]) -> int:
    results: dict[str, dict[str, object]] = {}
    failed = []
    for script in sorted(HERE.glob("[!_]*.py")):
        text = script.read_text()
        if '__name__ == "__main__"' not in text:
            continue
        if "--quick" in arguments and "--quick" not in text:
            print(f"{script.stem}: left out, it has no quick size")
            continue
        print(f"{script.stem} …", flush=True)
        done = subprocess.run([sys.executable, script, *arguments], stdout=subprocess.PIPE, text=True)
        last_line = done.stdout.strip().rpartition("\n")[2]
        try:
            results[script.stem] = json.loads(last_line)
        except ValueError:
            results[script.stem] = {"error": f"ended with {done.returncode}: {last_line[:300]}"}
        if done.returncode or "error" in results[script.stem]:
            failed.append(script.stem)
        print(f"  {json.dumps(results[script.stem])}", flush=True)
        VAR.mkdir(parents=True, exist_ok=True)
        (VAR / "bench.json").write_text(json.dumps(results, indent=2) + "\n")
    print(f"{len(results)} benchmarks, {len(failed)} failed: {VAR / 'bench.json'}", *failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
