"""Published figures of other studies, as CSV files, into bundled benchmarks in the project's tidy tables.

    python -m tools.published_studies FOLDER [NAME ...]

FOLDER holds the CSV files (`../shared/external`), NAME is a benchmark. The README of each benchmark says what was changed.
"""
