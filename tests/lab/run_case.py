#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Run lab cases: run_case.py MODULE.CASE... or MODULE for all of its cases, --list for their names. Exit code 0 passed,
1 failed, 77 skipped (meson's words)."""
import importlib
import inspect
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from lab.core import Lab, LabError, Skip  # noqa: E402


def cases_of(word):
    module_name, _, case = word.partition(".")
    module = importlib.import_module(f"cases.{module_name}")
    found = [(f"{module_name}.{name}", function) for name, function in vars(module).items()
             if inspect.isfunction(function) and function.__module__ == module.__name__
             and not name.startswith("_") and (not case or name == case)]
    if not found:
        raise SystemExit(f"no case {word}")
    return found


def run(name, function):
    with Lab(name) as lab:
        lab.say(f"{name}: {inspect.getdoc(function) or ''}".rstrip(": "))
        function(lab)
        lab.say(f"{name}: passed")


def main(words):
    if "--list" in words:
        for path in sorted((Path(__file__).parent / "cases").glob("[a-z]*.py")):
            print("\n".join(name for name, _ in cases_of(path.stem)))
        return 0
    result = 0
    for name, function in [case for word in words for case in cases_of(word)]:
        try:
            run(name, function)
        except Skip as reason:
            print(f"{name}: skipped: {reason}")
            result = result or 77
        except LabError as error:
            print(f"{name}: FAILED: {error}")
            result = 1
        except KeyboardInterrupt as why:
            print(f"{name}: interrupted by {why}")
            return 1
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc()
            result = 1
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
