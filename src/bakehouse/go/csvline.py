"""One line of RFC 4180 CSV, as the values of options use it (the peers' `go-csvvalue`).

Quotes only around whole fields, blanks significant, one trailing newline allowed. No multi-line records here.
"""

from __future__ import annotations


class CsvError(ValueError):
    """Malformed CSV; the text is the peers' own."""


def split_csv(line: str, comma: str = ",") -> list[str]:
    """The fields of `line`. Raises `CsvError`; an empty line is an error (`EOF`)."""
    if line.endswith("\n"):
        line = line[:-2] if line.endswith("\r\n") else line[:-1]
    if line == "":
        raise CsvError("EOF")
    if '"' not in line:
        return line.split(comma)
    fields: list[str] = []
    position = 0
    while True:
        if line.startswith('"', position):
            field, position = _quoted(line, position + 1, comma)
        else:
            end = line.find(comma, position)
            field = line[position:] if end < 0 else line[position:end]
            quote = field.find('"')
            if quote >= 0:
                raise _error(line, position + quote, 'bare " in non-quoted-field')
            position = -1 if end < 0 else end + 1
        fields.append(field)
        if position < 0:
            return fields


def _quoted(line: str, position: int, comma: str) -> tuple[str, int]:
    """A quoted field whose text starts at `position`, and where the next field starts (-1: no more)."""
    parts: list[str] = []
    while True:
        end = line.find('"', position)
        if end < 0:
            raise _error(line, position, 'extraneous or missing " in quoted-field')
        parts.append(line[position:end])
        position = end + 1
        if position == len(line):
            return "".join(parts), -1
        if line[position] == '"':
            parts.append('"')
            position += 1
        elif line[position] == comma:
            return "".join(parts), position + 1
        else:
            raise _error(line, end, 'extraneous or missing " in quoted-field')


def _error(line: str, position: int, text: str) -> CsvError:
    column = len(line[:position].encode("utf-8", "surrogateescape")) + 1
    return CsvError(f"parse error on line 1, column {column}: {text}")
