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


def _judge(lab, cells):
    verdicts = _run(lab, cells)
    lab.say(matrix.table(verdicts))
    failed = [str(cell) for cell, text in verdicts.items() if text]
    require(not failed, f"{len(failed)} of {len(verdicts)} cells failed: {failed}")


def _is_tunnel(cell):
    return cell.mode == "tunnel" and cell.protocol == "esp" and not cell.esn and cell.nat != "nat"


def tunnel(lab):
    """ESP in tunnel mode: any two of cipher, integrity, families and UDP encapsulation meet in one cell."""
    _judge(lab, matrix.pairwise([cell for cell in matrix.cells() if _is_tunnel(cell)]))


def pairwise(lab):
    """Any two values of two columns of the whole matrix meet in one of these cells."""
    _judge(lab, matrix.pairwise())


def whole(lab):
    """Every cell, or with CULVERT_MATRIX_TUNNEL those of ESP in tunnel mode without ESN; minutes, not part of the test suite:
    tools/matrix runs it and writes the table to CULVERT_MATRIX_OUT."""
    only = os.environ.get("CULVERT_MATRIX_TUNNEL")
    verdicts = _run(lab, [cell for cell in matrix.cells() if not only or _is_tunnel(cell)])
    target = os.environ.get("CULVERT_MATRIX_OUT")
    if target:
        with open(target, "w", encoding="utf-8") as file:
            file.write(matrix.document(verdicts, os.environ.get("CULVERT_MATRIX_STAMP", "")))
    failed = [str(cell) for cell, text in verdicts.items() if text]
    require(not failed, f"{len(failed)} of {len(verdicts)} cells failed")
