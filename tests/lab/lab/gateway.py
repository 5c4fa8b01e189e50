# SPDX-License-Identifier: BSD-3-Clause
"""Culvert in the namespace "gw": both of its processes with directories of their own, and its command line."""
import json
import os
import signal
import socket
from pathlib import Path

from .core import LabError, Skip, require, wait_until


def build_root():
    root = Path(os.environ.get("CULVERT_BUILD", "build")).resolve()
    if not (root / "dataplane/culvert-dataplane").exists():
        raise Skip(f"no Culvert in {root}: set CULVERT_BUILD to the build directory")
    return root


class Culvert:
    """start() brings both processes up with a startup configuration (a dict, or None). Gateways in other namespaces than
    "gw" have directories and logs with that name."""

    def __init__(self, lab, ns="gw", test_faults=False):
        self.lab, self.ns, self.test_faults = lab, ns, test_faults
        self.build = build_root()
        self.tag = "" if ns == "gw" else f"-{ns}"
        self.run_dir = lab.work / f"run{self.tag}"
        self.config_dir = lab.work / f"config{self.tag}"
        for directory in (self.run_dir, self.config_dir):
            directory.mkdir(exist_ok=True)
        self.dataplane = self.control = None
        lab.witnesses.append(self._testimony)

    def _testimony(self):
        answers = [f"---- {self.ns}"]
        for words in (("drops",), ("counters",)):
            answers.append(f"{self.ns}# show {' '.join(words)}\n{self.cli('show', *words, check=False, timeout=5).stdout}")
        return "\n".join(answers)

    # ---- processes ----

    def start(self, config=None):
        if config is not None:
            self.write_startup(config)
        self.start_dataplane()
        self.start_control()
        return self

    def write_startup(self, config):
        text = config if isinstance(config, str) else json.dumps(config, indent=2)
        path = self.config_dir / "startup.json"
        path.write_text(text)
        path.chmod(0o600)

    def start_dataplane(self):
        argv = [self.build / "dataplane/culvert-dataplane", "--socket", self.run_dir / "dataplane.sock", "--no-huge",
                "--memory", "192"]
        if self.test_faults:
            argv.append("--test-faults")
        self.dataplane = self.lab.spawn(self.ns, argv, f"dataplane{self.tag}.log")
        return self.dataplane

    def start_control(self, env=None):
        self.spawn_control(env)
        self.wait_ready()
        return self.control

    def spawn_control(self, env=None):
        """Start culvertd without waiting for it."""
        self.control = self.lab.spawn(self.ns, [
            self.build / "mgmt/culvertd", "--run-dir", self.run_dir, "--config-dir", self.config_dir,
            "--dataplane-socket", self.run_dir / "dataplane.sock", "--socket", self.run_dir / "culvertd.sock"],
            f"culvertd{self.tag}.log", env)
        return self.control

    def wait_ready(self, timeout=20):
        def ready():
            for process, name in ((self.dataplane, "culvert-dataplane"), (self.control, "culvertd")):
                if process is not None and process.poll() is not None:
                    raise LabError(f"{name} ended with {process.returncode} while starting")
            done = self.cli("show", "version", check=False)
            return done.returncode == 0
        wait_until(ready, timeout, "culvertd to answer", 0.2)

    def kill(self, process):
        """kill -9, and wait until it is gone."""
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        if process in self.lab.processes:
            self.lab.processes.remove(process)

    def kill_control(self):
        self.kill(self.control)

    def kill_dataplane(self):
        self.kill(self.dataplane)

    def stop(self):
        for process in (self.control, self.dataplane):
            if process is not None:
                self.lab.stop(process)

    # ---- the operator's side ----

    def cli(self, *words, check=True, timeout=20, stdin=None):
        return self.lab.run(None, self.build / "mgmt/cli/culvert", "--socket", self.run_dir / "culvertd.sock", *words,
                            check=check, timeout=timeout, stdin=stdin)

    def show(self, *words):
        """The answer of a show command as JSON."""
        text = self.cli("show", *words, "--json").stdout
        try:
            return json.loads(text)
        except ValueError as error:
            raise LabError(f"show {' '.join(words)} --json is not JSON: {error}\n{text}") from error

    def drops(self):
        """{reason: packets}"""
        return {drop["reason"]: drop["packets"] for drop in self.show("drops")["drops"]}

    def rpc(self, request):
        """One request of the management protocol (mgmt/rpc.h), for what the command line has no words for."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(20)
            line.connect(str(self.run_dir / "culvertd.sock"))
            line.sendall(json.dumps({"id": 1, **request}).encode() + b"\n")
            buffer = b""
            while not buffer.endswith(b"\n"):
                data = line.recv(65536)
                if not data:
                    break
                buffer += data
        return json.loads(buffer)

    def fail_at(self, nth):
        """Fault injection (CV_CMD_FAIL_AT): the nth command of the next transaction fails in the dataplane."""
        answer = self.rpc({"do": "fail-at", "nth": nth})
        require("error" not in answer, f"fail-at {nth}: {answer}")

    def config_file(self, config, name="candidate.json"):
        path = self.lab.work / name
        path.write_text(config if isinstance(config, str) else json.dumps(config, indent=2))
        return path

    def commit(self, config, check=True):
        """Load as candidate and commit. Returns the CompletedProcess of the step that failed, or of the commit."""
        path = self.config_file(config)
        done = self.cli("config", "load", path, check=False)
        if done.returncode == 0:
            done = self.cli("config", "commit", check=False, timeout=40)
        if check and done.returncode != 0:
            raise LabError(f"commit: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def running(self):
        return self.cli("config", "show", "running").stdout


def require_either_may_die(site, culvert, other=None):
    """kill -9 of the control process loses no packet; after that of the dataplane (the other gateway's, if there is one)
    traffic comes back by itself."""
    with site.stream() as stream:
        culvert.kill_control()
        culvert.start_control()
        site.ping(count=3)
    require(stream.lost == 0, f"the death of the control process lost packets: {stream.result}")
    second = other or culvert
    second.kill_dataplane()
    second.start_dataplane()
    site.ping_until_works(timeout=30)
