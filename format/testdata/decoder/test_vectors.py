"""Runs the decoder over all golden vectors: /usr/bin/python3 -B format/testdata/decoder/test_vectors.py [--self-test]

Every good case must open and give all its stated outputs, every failure must fail with exactly the error named. A file
or a field that is not known fails the run; nothing is ever left out. With --self-test, changed copies of the cases are
run as well, which must not pass (selftest.py). The last line says "N passed, N failed".
"""

import argparse
import multiprocessing
import os
import sys

import checks
import selftest
import vectors
from errors import FormatError

FILES = {}

# Accounts need X-Wing (ML-KEM-768), which nothing that this decoder stands on has: Go and TypeScript read these.
ELSEWHERE = {f"{name}.json" for name in ("account", "contact", "identity", "message", "phrase", "safety", "work", "wrap")}
# A journal is as long again as all that this decoder does: Go and TypeScript read these.
ELSEWHERE |= {f"journal-{name}.json" for name in ("checkpoint", "child", "grant", "pins", "rebase", "replay")} | {"invite.json"}


def run_case(kind, case):
    """What is wrong with a case, or None."""
    try:
        kind.run(case)
    except FormatError as error:
        if error.name != case.fail:
            return f"refused with {error.name!r} ({error.detail}) instead of {case.fail!r}"
        return None
    except vectors.VectorError as error:
        return str(error)
    return f"opened, but should fail with {case.fail!r}" if case.fail else None


def run_task(task):
    """Runs one task (file, case, mutation or None) in a worker; returns its title and what is wrong, or None."""
    file_name, case_name, mutation = task
    file, kind = FILES[file_name], checks.KINDS[file_name]
    title = f"{file_name}: {case_name}"
    try:
        if mutation is None:
            return title, run_case(kind, vectors.Case(file, file.cases[case_name]))
        title = f"{title} [{mutation}]"
        wrong = run_case(kind, selftest.mutate(file, case_name, mutation))
        return title, "passes although it was changed" if wrong is None else None
    except Exception as error:  # a fault of the decoder or of the vector: it fails the case, not the run
        return title, f"{type(error).__name__}: {error}"


def load():
    """Reads all files; returns what is wrong with the directory as a whole."""
    wrong = []
    for path in sorted(vectors.DIRECTORY.iterdir()):
        if path.suffix == ".bin" or path.name in ELSEWHERE:
            continue
        if path.name not in checks.KINDS:
            wrong.append((path.name, "file is not known"))
            continue
        try:
            FILES[path.name] = vectors.VectorFile(path)
        except (vectors.VectorError, ValueError, AttributeError) as error:
            wrong.append((path.name, str(error)))
    wrong += [(name, "file is missing") for name in checks.KINDS if not (vectors.DIRECTORY / name).exists()]
    return wrong + [(name, "no case uses this file") for name in sorted(_unused())]


def _unused():
    """Files of bytes that no vector names."""
    there = {path.name for path in vectors.DIRECTORY.glob("*.bin")}
    named = {value["file"] for file in FILES.values() for case in file.cases.values() for value in case.values()
             if isinstance(value, dict) and "file" in value}
    elsewhere = tuple(name.removesuffix(".json") for name in ELSEWHERE)
    return {name for name in there - named if not name.startswith(elsewhere)}


def main():
    parser = argparse.ArgumentParser(description="Runs the independent decoder over the golden vectors.")
    parser.add_argument("--self-test", action="store_true", help="also run changed cases, which must not pass")
    options = parser.parse_args()
    wrong = load()
    tasks = [(file, case, None) for file in FILES for case in FILES[file].cases]
    if options.self_test:
        tasks += selftest.tasks(FILES)
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        results = pool.map(run_task, tasks, chunksize=4)
    failures = wrong + [(title, why) for title, why in results if why is not None]
    for title, why in failures:
        print(ascii(f"FAILED {title}: {why}")[1:-1])
    print(f"{len(tasks) + len(wrong) - len(failures)} passed, {len(failures)} failed")
    return 1 if failures or not results else 0


if __name__ == "__main__":
    sys.exit(main())
