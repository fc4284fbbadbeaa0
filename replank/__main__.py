"""`python -m replank`: the same as the console command."""

from replank.cli import main

main()
