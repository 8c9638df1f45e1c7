"""Print one table of jobs and, last, one line that counts every test (a job without tests counts as one)."""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def counts(report: Path, status: int) -> tuple[int, int, int]:
    """Passed, failed and skipped of one job; a job that ended badly has failed at least once."""
    passed = failed = skipped = 0
    if report.is_file():
        for suite in ElementTree.parse(report).iter("testsuite"):
            bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped += int(suite.get("skipped", 0))
            failed += bad
            passed += int(suite.get("tests", 0)) - bad - int(suite.get("skipped", 0))
    elif status == 0:
        passed = 1
    return passed, max(failed, int(status != 0)), skipped


def main(results: Path) -> int:
    total = [0, 0, 0]
    print(f"\n{'job':36}{'passed':>8}{'failed':>8}{'skipped':>8}{'seconds':>8}")
    for line in (results / "jobs.tsv").read_text(encoding="utf-8").splitlines():
        name, status, seconds = line.split("\t")
        row = counts(results / f"{name}.xml", int(status))
        total = [sum(pair) for pair in zip(total, row, strict=True)]
        print(f"{name:36}" + "".join(f"{number:8}" for number in (*row, int(seconds))))
    passed, failed, skipped = total
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
