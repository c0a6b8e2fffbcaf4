"""Cases of one client, run in order, a line of JSON each; the last line is `passed X of Y`.

    @case("PutObject")
    def empty_object(subject): ...        # raises where the behaviour is another

A line holds client, version, operation, case (the function's name in words), outcome (`passed`,
`failed`, `skipped`) and why. Skipped cases are not in Y: the client cannot ask for such a thing.
"""

import json
import sys

CASES = []


class Skip(Exception):
    """This client cannot ask for it; says why."""


def case(operation):
    """Declares a function to be a case of this operation, in the order of the file."""

    def declare(function):
        CASES.append((operation, function.__name__.replace("_", " "), function))
        return function

    return declare


def cases_of(table, operation):
    """The same for a function of (subject, value), once for each (words, value) of `table`."""

    def declare(function):
        for words, value in table.items():
            name = f"{function.__name__.replace('_', ' ')}: {words}"
            CASES.append((operation, name, lambda subject, value=value: function(subject, value)))
        return function

    return declare


def expect(found, wanted, what="found"):
    """Both are equal."""
    if found != wanted:
        raise AssertionError(f"{what} {short(found)}, not {short(wanted)}")


def holds(condition, what):
    """What must be so is so."""
    if not condition:
        raise AssertionError(short(what))


def short(value):
    """A value as one line that a report can hold."""
    text = repr(value) if not isinstance(value, str) else value
    text = " ".join(text.split())
    return text if len(text) <= 300 else f"{text[:300]}..."


def run(client, version, subject):
    """Runs every case, and ends the process: with code 0 where none failed."""
    wanted = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else ""
    passed = ran = 0
    for operation, name, function in CASES:
        if wanted not in f"{operation}/{name}":
            continue
        outcome, why = outcome_of(function, subject)
        passed += outcome == "passed"
        ran += outcome != "skipped"
        line = {"client": client, "version": version, "operation": operation}
        print(json.dumps({**line, "case": name, "outcome": outcome, "why": why}), flush=True)
    print(f"passed {passed} of {ran}", flush=True)
    sys.exit(0 if passed == ran and ran > 0 else 1)


def skip_all(client, version, why):
    """Skips every case, and ends the process: this machine cannot run the client."""
    for operation, name, _ in CASES:
        line = {"client": client, "version": version, "operation": operation, "case": name}
        print(json.dumps({**line, "outcome": "skipped", "why": why}))
    print("passed 0 of 0", flush=True)
    sys.exit(0)


def outcome_of(function, subject):
    """(outcome, why) of one case."""
    try:
        function(subject)
    except Skip as why:
        return "skipped", short(str(why))
    except Exception as error:  # noqa: BLE001  whatever a client raises is a failed case
        return "failed", short(f"{type(error).__name__}: {error}")
    return "passed", ""
