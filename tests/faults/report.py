"""The fault matrix as a table at the end of the tests: fault × agency × outcome."""

from collections import defaultdict
from typing import Any

AGENCIES = ("police", "fire", "investigation")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the results recorded by the cases; tests of the matrix ran in any process, or not at all."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    # In parallel runs, files end in any order.
    cases = [
        (dict(report.user_properties), report.passed)
        for report in sorted(reports, key=lambda report: report.nodeid.partition("::")[0])
        if "fault" in dict(getattr(report, "user_properties", ()))
    ]
    if not cases:
        return
    rows: dict[str, dict[str, str]] = defaultdict(dict)
    for case, passed in cases:
        rows[case["fault"]][case["agency"]] = case["declared"] + ("" if passed else " ✗")
    wide = max(map(len, rows)) + 2
    terminalreporter.section("fault matrix: fault × agency × outcome")
    terminalreporter.write_line("rows received/loaded/unchanged/quarantined/rejected while the fault lasts;")
    terminalreporter.write_line("retry with rows: accepted in the end; without: rejected, and the next run reads again")
    terminalreporter.write_line("fault".ljust(wide) + "".join(name.ljust(30) for name in AGENCIES))
    for fault, cells in rows.items():
        terminalreporter.write_line(fault.ljust(wide) + "".join(cells.get(name, "").ljust(30) for name in AGENCIES))
    kept = sum(passed for _, passed in cases)
    terminalreporter.write_line(f"{len(rows)} faults, {kept} of {len(cases)} as declared")
