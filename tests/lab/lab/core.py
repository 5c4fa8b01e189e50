# SPDX-License-Identifier: BSD-3-Clause
"""What every lab needs: a work directory, namespaces with names of its own, child processes that die with it, waiting
for a condition instead of for luck, and cleaning up on every way out."""
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PREFIX = "cvlab"
SOURCE = Path(__file__).resolve().parents[3]
TOOLS = SOURCE / "tools"


class LabError(Exception):
    """A test failed, or the lab could not be built."""


class Skip(Exception):
    """This machine lacks what the test needs; the reason is the text."""


def speed():
    """Deadlines are stretched on slow machines and under sanitizers: CULVERT_LAB_SLOW=3 makes them three times longer."""
    return float(os.environ.get("CULVERT_LAB_SLOW", "1"))


def wait_until(condition, timeout, what, interval=0.1):
    """Call condition() until it returns something true, and return that. LabError when the deadline passes."""
    deadline = time.monotonic() + timeout * speed()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"waited {timeout * speed():.0f} s for {what}")
        time.sleep(interval)


def require(condition, text):
    """The lab's assertion: unlike assert it cannot be switched off."""
    if not condition:
        raise LabError(text)


def _die_with_parent():
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _sweep_dead_labs():
    """Remove the namespaces and work directories of labs that were killed too hard to clean up."""
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout.split()
    paths = [str(p) for p in Path(tempfile.gettempdir()).glob(PREFIX + "*")]
    for name in names + paths:
        match = re.search(PREFIX + r"(\d+)", name)
        if not match or os.path.exists(f"/proc/{match[1]}"):
            continue
        if name.startswith("/"):
            subprocess.run(["umount", "-q", name + "/mem"], capture_output=True)
            shutil.rmtree(name, ignore_errors=True)
        else:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


class Lab:
    """One lab. Use as a context manager; everything made through it goes with it."""

    def __init__(self, name="lab", verbose=None):
        self.name = name
        self.id = f"{PREFIX}{os.getpid()}"
        self.verbose = bool(os.environ.get("CULVERT_LAB_VERBOSE")) if verbose is None else verbose
        self.processes = []
        self.namespaces = {}
        self.closers = []
        self.witnesses = []
        self.work = None
        self.keep_logs = None
        self.started = time.monotonic()

    def __enter__(self):
        if os.geteuid() != 0:
            raise Skip("the lab needs root: it makes network namespaces")
        for program in ("ip", "nsenter", "ethtool", "linux.uml", "tcpdump", "ping"):
            if not shutil.which(program):
                raise Skip(f"{program} is missing: see tools/packages")
        _sweep_dead_labs()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._interrupted)
        self.work = Path(tempfile.mkdtemp(prefix=self.id + "-"))
        self.work.chmod(0o755)
        # The peers' memory is a file; a tmpfs of our own is neither noexec nor as small as some containers' /dev/shm.
        (self.work / "mem").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", PREFIX, self.work / "mem"], check=True)
        return self

    def __exit__(self, kind, value, trace):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if kind is not None and kind not in (KeyboardInterrupt, Skip):
            self.print_logs()
            self.print_testimony()
        self.close()

    def _interrupted(self, number, _frame):
        raise KeyboardInterrupt(signal.Signals(number).name)

    def close_site(self):
        """Take away processes and namespaces; the work directory stays, so that another site can be built."""
        for closer in reversed(self.closers):
            try:
                closer()
            except Exception as error:  # pylint: disable=broad-except
                self.say(f"cleaning up: {error}")
        self.closers.clear()
        for process in reversed(self.processes):
            self.stop(process)
        self.processes.clear()
        self.witnesses.clear()
        for name in self.namespaces.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        self.namespaces.clear()

    def close(self):
        self.close_site()
        if self.work:
            subprocess.run(["umount", self.work / "mem"], capture_output=True)
            logs = os.environ.get("CULVERT_LAB_LOGS")
            if logs:
                target = Path(logs) / self.name
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(self.work, target, ignore=shutil.ignore_patterns("mem", "*.sock", "*.in", "*.vty", "*.api"),
                                ignore_dangling_symlinks=True)
            shutil.rmtree(self.work, ignore_errors=True)
            self.work = None

    def say(self, text):
        print(f"[{time.monotonic() - self.started:6.2f}] {text}", flush=True)

    def debug(self, text):
        if self.verbose:
            self.say(text)

    # ---- namespaces and links ----

    def namespace(self, name):
        """Make a network namespace; its real name carries our process id."""
        full = f"{self.id}-{name}"
        self.command("ip", "netns", "add", full)
        self.namespaces[name] = full
        for key in ("net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0",
                    "net.ipv6.conf.default.router_solicitations=0"):
            self.run(name, "sysctl", "-qw", key, check=False)
        self.run(name, "ip", "link", "set", "lo", "up")
        return full

    def veth(self, ns_a, if_a, ns_b, if_b, mtu=1500):
        """A cable between two namespaces, both ends up, without offloads: a tap or an AF_PACKET reader sees whole
        checksums and single packets."""
        self.run(ns_a, "ip", "link", "add", if_a, "mtu", str(mtu), "type", "veth", "peer", "name", if_b, "mtu",
                 str(mtu), "netns", self.namespaces[ns_b])
        for ns, device in ((ns_a, if_a), (ns_b, if_b)):
            self.run(ns, "ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off", "gro", "off", check=False)
            self.run(ns, "ip", "link", "set", device, "up")

    def silent(self, ns, *devices):
        """Devices that only carry frames: the kernel of this namespace must not speak on them."""
        for device in devices:
            self.run(ns, "sysctl", "-qw", f"net.ipv6.conf.{device}.disable_ipv6=1", check=False)
            self.run(ns, "ip", "link", "set", device, "arp", "off", check=False)

    def tap(self, ns, device, mtu=1500):
        self.run(ns, "ip", "tuntap", "add", "dev", device, "mode", "tap")
        self.run(ns, "ip", "link", "set", device, "mtu", str(mtu), "up")
        self.silent(ns, device)

    def bridge(self, ns, device, *ports):
        self.run(ns, "ip", "link", "add", device, "type", "bridge", "mcast_snooping", "0")
        self.silent(ns, device)
        for port in ports:
            self.run(ns, "ip", "link", "set", port, "master", device)
        self.run(ns, "ip", "link", "set", device, "up")

    def address(self, ns, device, *addresses):
        for address in addresses:
            extra = ["nodad"] if ":" in address else []
            self.run(ns, "ip", "addr", "add", address, "dev", device, *extra)

    def route(self, ns, prefix, via):
        family = "-6" if ":" in via else "-4"
        self.run(ns, "ip", family, "route", "replace", prefix, "via", via)

    # ---- processes ----

    def in_ns(self, ns, argv):
        return ["nsenter", f"--net=/run/netns/{self.namespaces[ns]}", "--"] + [str(a) for a in argv] if ns else \
            [str(a) for a in argv]

    def command(self, *argv, **options):
        return self.run(None, *argv, **options)

    def run(self, ns, *argv, check=True, timeout=30, stdin=None):
        """Run to its end in a namespace; returns the CompletedProcess with text output."""
        full = self.in_ns(ns, argv)
        self.debug("+ " + " ".join(str(a) for a in argv))
        try:
            done = subprocess.run(full, capture_output=True, text=True, timeout=timeout * speed(), input=stdin)
        except subprocess.TimeoutExpired as expired:
            raise LabError(f"{' '.join(map(str, argv))}: no end after {timeout} s") from expired
        if check and done.returncode != 0:
            raise LabError(f"{' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def spawn(self, ns, argv, log, env=None, pass_fds=()):
        """Start in the background; output goes to log (a name in the work directory); killed with the lab."""
        full = self.in_ns(ns, argv)
        self.debug("& " + " ".join(str(a) for a in argv))
        with open(self.work / log, "ab") as out:
            process = subprocess.Popen(full, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                       env={**os.environ, **(env or {})}, preexec_fn=_die_with_parent,
                                       pass_fds=pass_fds)
        process.log = log
        self.processes.append(process)
        return process

    def stop(self, process, timeout=5):
        """SIGTERM, then SIGKILL to the process group."""
        for number, patience in ((signal.SIGTERM, timeout), (signal.SIGKILL, 5)):
            if process.poll() is None:
                try:
                    process.send_signal(number)
                    process.wait(patience)
                except subprocess.TimeoutExpired:
                    continue
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        if process in self.processes:
            self.processes.remove(process)

    # ---- logs ----

    def log_text(self, log):
        path = self.work / log
        return path.read_text(errors="replace") if path.exists() else ""

    def print_logs(self, lines=60):
        """On failure: the end of every log, so that the runner's output is enough to see why."""
        sys.stdout.flush()
        for path in sorted(self.work.rglob("*.log")):
            text = path.read_text(errors="replace").splitlines()
            print(f"---- {path.relative_to(self.work)} (last {min(lines, len(text))} of {len(text)} lines)")
            print("\n".join(text[-lines:]))
        sys.stdout.flush()

    def print_testimony(self):
        """On failure: what gateways and peers have counted, so that a lost packet can be followed to where it ended.
        witnesses: functions without arguments that return text."""
        for name in self.namespaces:
            for device in json.loads(self.run(name, "ip", "-s", "-j", "link", "show", "up", check=False).stdout or "[]"):
                rx, tx = device["stats64"]["rx"], device["stats64"]["tx"]
                if rx["packets"] or tx["packets"]:
                    print(f"---- {name} {device['ifname']}: received {rx['packets']}, dropped {rx['dropped']}; "
                          f"sent {tx['packets']}, dropped {tx['dropped']}")
        for witness in self.witnesses:
            try:
                print(witness())
            except Exception as error:  # pylint: disable=broad-except
                print(f"{getattr(witness, '__qualname__', witness)}: {error}")
        sys.stdout.flush()
