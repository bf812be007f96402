"""``python -m benchmarks``: run every measurement, print a table and a line of JSON each."""

import json
import sys

from benchmarks import pages, runs, start

ALL = {
    "start": start.measure,
    "reading": runs.reading,
    "reading over HTTP": runs.reading_over_http,
    "asking": runs.asking,
    "memory": runs.memory,
    "pages": pages.table_and_parallel,
    "curves": pages.curves,
    "versions": pages.versions,
}


def main(names: list[str]) -> int:
    """Run the measurements that are named, or all."""
    for name in names or ALL:
        result = ALL[name]()
        width = max(map(len, result))
        print(f"\n{name}")
        for key, value in result.items():
            print(f"  {key:<{width}}  {value}")
        print(json.dumps({"benchmark": name, **result}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
