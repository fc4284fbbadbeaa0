"""`replank`, and `python -m replank`: the console command."""

from __future__ import annotations

import sys

NEEDS_OPERATOR = 1


def main() -> None:
    """Run the command, with Replank's own packages and those of its environment."""
    try:
        from replank.isolation import ALONE, isolate

        isolate()
        try:
            from replank.cli.app import main as run
        except ImportError as error:
            sys.stderr.write(f"replank: this installation is not complete: {error}. {ALONE}\n")
            raise SystemExit(NEEDS_OPERATOR) from None
        run()
    except KeyboardInterrupt:
        # Before or after the command itself, which has its own words for it.
        sys.stderr.write("replank: stopped.\n")
        raise SystemExit(NEEDS_OPERATOR) from None


if __name__ == "__main__":
    main()
