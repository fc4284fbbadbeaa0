"""What an operator can do to a run: the same functions behind the command line and the page.

Each action commits by itself, writes one event with who and how, and returns the sentence for the person. It raises
WrongUse or NeedsOperator with what to do instead; then nothing was changed.
"""
