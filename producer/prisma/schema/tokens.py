"""Where things end in the text of a schema file: strings, brackets, comments."""

from __future__ import annotations

_OPEN, _CLOSE = "([{", ")]}"


def end_of_string(text: str, start: int) -> int:
    """The index behind the string that begins with the quote at `start`; the text's end if it never closes."""
    at = start + 1
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == '"':
            return at + 1
        at += 1
    return len(text)


def end_of_brackets(text: str, start: int) -> int:
    """The index behind the bracket that closes the one at `start`; -1 if it is still open at the end."""
    depth, at = 0, start
    while at < len(text):
        if text[at] == '"':
            at = end_of_string(text, at)
            continue
        if text.startswith("//", at):
            line_end = text.find("\n", at)
            if line_end < 0:
                return -1
            at = line_end
            continue
        depth += (text[at] in _OPEN) - (text[at] in _CLOSE)
        at += 1
        if depth == 0:
            return at
    return -1


def comment_start(text: str) -> int:
    """Where the comment of a line begins (`//` or `/*` outside of strings); the text's length if there is none."""
    at = 0
    while at < len(text):
        if text[at] == '"':
            at = end_of_string(text, at)
        elif text.startswith(("//", "/*"), at):
            return at
        else:
            at += 1
    return len(text)


def is_open(text: str) -> bool:
    """Whether a bracket is still open at the end: the member goes on in the next line."""
    at = 0
    while at < len(text):
        if text[at] == '"':
            at = end_of_string(text, at)
        elif text.startswith("//", at):
            line_end = text.find("\n", at)
            at = len(text) if line_end < 0 else line_end
        elif text[at] in _OPEN:
            at = end_of_brackets(text, at)
            if at < 0:
                return True
        else:
            at += 1
    return False


def split_at_commas(text: str) -> list[str]:
    """The parts between the commas of the outermost level, stripped; empty ones are left out."""
    parts: list[str] = []
    at = begin = 0
    while at < len(text):
        if text[at] == '"':
            at = end_of_string(text, at)
        elif text[at] in _OPEN:
            end = end_of_brackets(text, at)
            at = len(text) if end < 0 else end
        elif text[at] == ",":
            parts.append(text[begin:at])
            at = begin = at + 1
        else:
            at += 1
    parts.append(text[begin:])
    return [stripped for part in parts if (stripped := _one_line(part))]


def _one_line(part: str) -> str:
    """A part that may have been written over several lines, comments in it left out."""
    lines = [line[: comment_start(line)].strip() for line in part.splitlines()]
    return " ".join(line for line in lines if line)


def quoted(text: str) -> str:
    """A string as the schema file writes it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquoted(text: str) -> str:
    """The value of a string as the schema file writes it; other text is given back as it is."""
    if len(text) < 2 or not (text.startswith('"') and text.endswith('"')):
        return text
    made: list[str] = []
    inner = iter(text[1:-1])
    for character in inner:
        if character == "\\":
            escaped = next(inner, "")
            made.append({"n": "\n", "t": "\t", "r": "\r"}.get(escaped, escaped))
        else:
            made.append(character)
    return "".join(made)
