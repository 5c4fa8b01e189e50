# SPDX-License-Identifier: BSD-3-Clause
"""IKE against strongSwan and libreswan on real Linux kernels (IKE-16 to 23, 37, 53, AGGR-2, 12, RFC 7296, RFC 2409): see
lab/ike_matrix.py for the table. Any two values of two columns meet in one of the cells of all cases but the last."""
import os

from lab import ike_matrix
from lab.core import require
from lab.ike_matrix import FACTORS
from lab.ike_matrix_site import IkeMatrixSite, certificates

BATCH = 48


def _run(lab, cells):
    """{cell: verdict}"""
    verdicts = {}
    pki = certificates(lab)
    for daemon in FACTORS["daemon"]:
        for nat in FACTORS["nat"]:
            here = [cell for cell in cells if (cell.daemon, cell.nat) == (daemon, nat)]
            for begin in range(0, len(here), BATCH):
                batch = here[begin:begin + BATCH]
                site = IkeMatrixSite(lab, nat, daemon, pki)
                found = site.run(batch)
                site.close()
                verdicts.update(found)
                lab.say(f"{daemon}, nat={nat}: {sum(not why for why in found.values())} of {len(batch)} cells passed")
                for cell, why in found.items():
                    if why:
                        lab.say(f"  {ike_matrix.text(cell)}: {why}")
    return verdicts


def _pairs(lab, daemon, nat):
    verdicts = _run(lab, [cell for cell in ike_matrix.cover(2) if (cell.daemon, cell.nat) == (daemon, nat)])
    failed = [ike_matrix.text(cell) for cell, why in verdicts.items() if why]
    require(not failed, f"{len(failed)} of {len(verdicts)} cells failed: {failed}")


def strongswan(lab):
    _pairs(lab, "strongswan", "none")


def strongswan_behind_nat(lab):
    _pairs(lab, "strongswan", "peer")


def culvert_behind_nat_strongswan(lab):
    _pairs(lab, "strongswan", "culvert")


def libreswan(lab):
    _pairs(lab, "libreswan", "none")


def libreswan_behind_nat(lab):
    _pairs(lab, "libreswan", "peer")


def culvert_behind_nat_libreswan(lab):
    _pairs(lab, "libreswan", "culvert")


def three(lab):
    """Any three values of three columns meet; minutes, not part of the test suite: tools/matrix --ike runs it and writes the
    table to CULVERT_MATRIX_OUT."""
    verdicts = _run(lab, ike_matrix.cover(3))
    target = os.environ.get("CULVERT_MATRIX_OUT")
    if target:
        with open(target, "w", encoding="utf-8") as file:
            file.write(ike_matrix.document(verdicts, os.environ.get("CULVERT_MATRIX_STAMP", "")))
    failed = [cell for cell, why in verdicts.items() if why]
    require(not failed, f"{len(failed)} of {len(verdicts)} cells failed")
