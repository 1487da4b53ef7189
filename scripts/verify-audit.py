"""Verifies an audit folder with no code of the program that wrote it: signatures, hashes, every round, the log.

Exits with 0 where all is as it should be, and says what is wrong otherwise. Python's standard library only.

    npx prefmesh aggregator export --federation our-notes.federation --out audit
    python3 scripts/verify-audit.py audit
"""

import pathlib
import sys

sys.dont_write_bytecode = True

from verifier.audit import verify_audit  # noqa: E402


def main(folder):
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    rounds, signatures = verify_audit(files)
    print(f"{rounds} rounds and {signatures} signatures: all as they should be")


main(pathlib.Path(sys.argv[1]))
