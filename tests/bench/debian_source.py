# SPDX-License-Identifier: BSD-3-Clause
"""Source packages of Debian, for the peers that the benchmarks build. Nothing is installed."""
import os
import re
import subprocess
import sys


def run(*argv, **more):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)


def sh(*argv, **more):
    """Run to its end; its output. When it fails, the program ends with what it said last."""
    done = run(*argv, **more)
    if done.returncode:
        sys.exit("%s: %s failed:\n%s" % (os.path.basename(sys.argv[0]), " ".join(argv), done.stdout[-3000:]))
    return done.stdout


def apt_options(work):
    """Lists of its own, so that the system's are left alone."""
    parts, lists = os.path.join(work, "apt"), os.path.join(work, "lists")
    os.makedirs(parts, exist_ok=True)
    os.makedirs(os.path.join(lists, "partial"), exist_ok=True)
    with open(os.path.join(parts, "source.list"), "w", encoding="ascii") as f:
        for suite in ("bookworm", "bookworm-updates"):
            f.write("deb-src http://deb.debian.org/debian %s main\n" % suite)
        f.write("deb-src http://deb.debian.org/debian-security bookworm-security main\n")
    return ["-o", "Dir::Etc::sourcelist=/dev/null", "-o", "Dir::Etc::sourceparts=" + parts, "-o",
            "Dir::State::lists=" + lists, "-o", "APT::Sandbox::User=root"]


def unpacked(work, package, version=None):
    """The tree work/package of a source package, downloaded when it is not there yet: in this version, or without one in the
    first of those listed that the archive has whole (a mirror may be behind its own lists)."""
    work = os.path.abspath(work)
    tree = os.path.join(work, package)
    if os.path.isdir(tree):
        return tree
    options = apt_options(work)
    sh("apt-get", *options, "-q", "update")
    versions = [version] if version else re.findall(r"^Version: (.+)$", sh("apt-cache", *options, "showsrc", package), re.M)
    for wanted in versions:
        print("Fetching the source package %s %s" % (package, wanted), flush=True)
        done = run("apt-get", *options, "-q", "source", "--download-only", package + "=" + wanted, cwd=work)
        if done.returncode == 0:
            break
    else:
        sys.exit("%s: %s cannot be fetched:\n%s" % (os.path.basename(sys.argv[0]), package, done.stdout[-3000:]))
    dsc = [name for name in os.listdir(work) if name.startswith(package + "_") and name.endswith(".dsc")]
    sh("dpkg-source", "-x", dsc[0], package, cwd=work)  # checks the sums that apt-get has checked the signature of
    return tree
