"""A field of a record that is stored as JSON, as something to search by."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, String, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement


class JsonField(FunctionElement[str]):
    """The text at the top-level key `key` of the JSON in a text column; NULL if there is none."""

    name = "json_field"
    type = String()
    inherit_cache = True

    def __init__(self, column: Column[Any], key: str) -> None:
        if not key.isidentifier():
            raise ValueError(f"{key!r} is no key of a record")
        super().__init__(column, literal_column(f"'{key}'"))


@compiles(JsonField, "postgresql")
def _on_postgresql(element: JsonField, compiler: SQLCompiler, **options: Any) -> str:
    column, key = element.clauses
    return f"(CAST({compiler.process(column, **options)} AS JSON) ->> {compiler.process(key, **options)})"


@compiles(JsonField)
def _on_sqlite(element: JsonField, compiler: SQLCompiler, **options: Any) -> str:
    column, key = element.clauses
    path = "'$." + compiler.process(key, **options).strip("'") + "'"  # a constant, so that an index can serve it
    return f"json_extract({compiler.process(column, **options)}, {path})"
