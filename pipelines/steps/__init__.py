"""The steps that dags/ and cli/ call: one file per step, in three parts: load inputs, process, save.

fetch → load per feed; then build → score → patterns, forecast → dispatch → publish → check (`run.AFTER_LOAD`).
Each may be killed and run again, and records how it ended (`monitoring.run_log`).
"""
