"""`replank`, and `python -m replank`: the console command."""

from __future__ import annotations

import sys

from replank.isolation import ALONE, isolate

NEEDS_OPERATOR = 1


def main() -> None:
    """Run the command, with Replank's own packages and those of its environment."""
    isolate()
    try:
        from replank.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("replank: stopped.\n")
        raise SystemExit(NEEDS_OPERATOR) from None
    except ImportError as error:
        sys.stderr.write(f"replank: this installation is not complete: {error}. {ALONE}\n")
        raise SystemExit(NEEDS_OPERATOR) from None
    run()


if __name__ == "__main__":
    main()
