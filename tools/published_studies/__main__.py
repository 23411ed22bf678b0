"""Convert the studies' CSV files; see the package's docstring."""

import sys
from pathlib import Path

from tools.published_studies import chaves2024, medmnistplus, sfda_emms, transfergraph
from tools.published_studies.writing import write

STUDIES = {"chaves2024": chaves2024, "medmnistplus": medmnistplus, "sfda_emms": sfda_emms, "transfergraph": transfergraph}


def main(folder: str, *names: str) -> None:
    """Write the benchmarks of these names, or all."""
    for name in names or STUDIES:
        counts = write(name, STUDIES[name].tables(Path(folder)))
        print(f"{name}: {', '.join(f'{count} rows of {table}' for table, count in counts.items())}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m tools.published_studies FOLDER [NAME ...]")
    main(*sys.argv[1:])
