"""`python -m replank` is the console command."""

from replank.cli import main

main()
