# SPDX-License-Identifier: BSD-3-Clause
"""The matrix of IPSEC-17, 18, 21 and the RFCs' algorithms against the Linux kernel: see lab/matrix.py for the table."""
import os

from lab import matrix
from lab.core import require
from lab.matrix_site import MatrixSite

BATCH = 96


def _run(lab, cells):
    """{cell: verdict} of all cells, on a site without and one with a NAT."""
    verdicts = {}
    for nat in (False, True):
        here = [cell for cell in cells if (cell.nat == "nat") == nat]
        if not here:
            continue
        lab_site = MatrixSite(lab, nat)
        for begin in range(0, len(here), BATCH):
            batch = here[begin:begin + BATCH]
            found = lab_site.run(batch)
            verdicts.update(found)
            lab.say(f"{sum(not text for text in found.values())} of {len(batch)} cells passed")
            for cell, text in found.items():
                if text:
                    lab.say(f"  {cell}: {text}")
        lab_site.close()
    return verdicts


def pairwise(lab):
    """Any two values of two columns of the matrix meet in one of these cells (issue of the dataplane: acceptance)."""
    verdicts = _run(lab, matrix.pairwise())
    lab.say(matrix.table(verdicts))
    failed = [str(cell) for cell, text in verdicts.items() if text]
    require(not failed, f"{len(failed)} of {len(verdicts)} cells failed: {failed}")


def whole(lab):
    """Every cell; minutes, not part of the test suite: tools/matrix runs it and keeps the table in docs/."""
    verdicts = _run(lab, matrix.cells())
    text = matrix.document(verdicts)
    target = os.environ.get("CULVERT_MATRIX_OUT")
    if target:
        with open(target, "w", encoding="utf-8") as file:
            file.write(text)
    lab.say(matrix.table(verdicts))
    failed = [str(cell) for cell, text in verdicts.items() if text]
    require(not failed, f"{len(failed)} of {len(verdicts)} cells failed")
