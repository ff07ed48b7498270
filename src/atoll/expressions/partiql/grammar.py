"""The parser of the PartiQL statements that DynamoDB supports.

    statement = select | insert | update | delete | EXISTS "(" select ")"            with an optional ";" at the end
    select    = SELECT ( "*" | expression, ... ) FROM path [WHERE expression] [ORDER BY name [ASC | DESC], ...]
    insert    = INSERT INTO path VALUE expression
    update    = UPDATE path actions [WHERE expression] [returning]
              | FROM path [WHERE expression] actions [returning]
    actions   = ( SET path "=" expression, ... | REMOVE path )+
    delete    = DELETE FROM path [WHERE expression] [returning]
    returning = RETURNING ( ALL | MODIFIED ) ( OLD | NEW ) "*"

It also parses PartiQL's other clauses, to reject each with its own error rather than as malformed text.
"""

from __future__ import annotations

from atoll.errors import partiql as errors
from atoll.expressions.partiql.expressions import DEPTH, ExpressionParser
from atoll.expressions.partiql.tree import Delete, Exists, Insert, Node, Select, Statement, Update, java_name


def parse(text: str) -> tuple[Statement, int]:
    """The statement, and its number of parameters."""
    parser = _Parser(text)
    statement = parser.statement()
    if parser.accept(";") and parser.kind != "end":
        raise parser.malformed("Unexpected token after semicolon. (Only one query is allowed.)")
    if parser.kind != "end":
        raise parser.malformed("Unexpected token after expression")
    if parser.faults:
        raise parser.faults[0]
    assert statement is not None
    return statement, parser.parameters


_RETURNED = "Expected ( MODIFIED | ALL ) ( NEW | OLD ) in each returning element."
_NAMED = {"FROM": "null", "INSERT": "insert_into", "UPDATE": "null"}
"""The names of nested statements in errors of PartiQL's parser."""


class _Parser(ExpressionParser):
    def statement(self) -> Statement | None:
        match self.kind:
            case "SELECT" | "PIVOT":
                return self.select()
            case "INSERT":
                return self.insert()
            case "UPDATE":
                return self.update()
            case "FROM":
                return self.update_from()
            case "DELETE":
                return self.delete()
            case "EXISTS":
                return self.exists()
            case "CREATE" | "DROP":
                verb = self.next().kind.title()
                what = self.expect("TABLE", "INDEX", reason=f"Unexpected token following {verb.upper()}").kind.title()
                if what == "Table":
                    self.expect("name", "quoted", reason="Expected identifier!")
                while self.kind not in ("end", ";"):
                    self.next()
                self.faults.append(errors.unsupported_operation(verb + what))
                return None
        self.faults.append(errors.unsupported_operation(java_name(self.expression())))
        return None

    def select(self) -> Select:
        columns = self.columns()
        self.expect("FROM", reason="Expected FROM after SELECT list")
        source = self.source()
        where = self.expression() if self.accept("WHERE") else None
        if self.accept("GROUP"):
            self.expect("BY")
            self.list_of(self.column)
            self.faults.append(errors.unsupported_clause("GROUP BY"))
        if self.accept("HAVING"):
            self.faults.append(errors.unsupported_clause("HAVING", self.expression().at))
        order: tuple[tuple[Node, bool], ...] = ()
        if self.accept("ORDER"):
            self.expect("BY")
            order = self.list_of(self.ordering)
        if self.accept("LIMIT"):
            self.faults.append(errors.unsupported_clause("LIMIT", self.expression().at))
        return Select(columns, source, where, order)

    def columns(self) -> tuple[Node, ...] | None:
        """The selected columns; None for all."""
        if self.next().kind == "PIVOT":
            self.expression()
            self.expect("AT", reason="Expected AT keyword")
            self.expression()
        elif self.accept("VALUE"):
            self.expression()
        else:
            if self.accept("DISTINCT"):
                self.faults.append(errors.unsupported_token("DISTINCT"))
            else:
                self.accept("ALL")
            return None if self.accept("*") else self.list_of(self.column)
        self.faults.append(errors.select_value())
        return None

    def column(self) -> Node:
        found = self.expression()
        self.no_alias()
        return found

    def no_alias(self) -> None:
        if keyword := self.accept("AS", "AT"):
            self.expect("name", "quoted", reason=f"Expected identifier for {keyword.kind}-alias")
        elif not self.accept("name", "quoted"):
            return
        self.faults.append(errors.alias())

    def source(self) -> Node:
        if self.accept("UNPIVOT"):
            self.faults.append(errors.many_sources())
        found = self.expression()
        self.no_alias()
        while self.kind in (",", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS"):
            self.faults.append(errors.many_sources())
            words = set()
            while self.kind in (",", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "OUTER"):
                words.add(self.next().kind)
            self.expression()
            self.no_alias()
            if "JOIN" in words and "CROSS" not in words:
                self.expect("ON")
                self.expression()
        return found

    def ordering(self) -> tuple[Node, bool]:
        found = self.expression()
        direction = self.accept("ASC", "DESC")
        return found, direction is not None and direction.kind == "DESC"

    def insert(self) -> Insert:
        self.next()
        self.expect("INTO", reason="Unexpected keyword")
        source = self.simple_path()
        if not self.accept("VALUE"):
            item = self.expression()
            self.faults.append(errors.unsupported_operation("InsertOp"))
            return Insert(source, item)
        item = self.expression()
        if self.kind == "RETURNING":
            self.returning()
            self.faults.append(errors.returning_of_insert())
        return Insert(source, item)

    def update(self) -> Update:
        self.next()
        source = self.simple_path()
        self.no_alias()
        actions = self.actions()
        where = self.expression() if self.accept("WHERE") else None
        return Update(source, actions, where, self.returning())

    def update_from(self) -> Update:
        self.next()
        source = self.path()
        self.no_alias()
        where = self.expression() if self.accept("WHERE") else None
        return Update(source, self.actions(), where, self.returning())

    def actions(self) -> tuple[tuple[Node, Node | None], ...]:
        actions: list[tuple[Node, Node | None]] = []
        while not actions or self.kind in ("SET", "REMOVE"):
            if self.expect("SET", "REMOVE", reason="Expected data manipulation").kind == "SET":
                actions += self.list_of(self.assignment)
            else:
                actions.append((self.simple_path(), None))
        return tuple(actions)

    def assignment(self) -> tuple[Node, Node]:
        path = self.simple_path()
        self.expect("=")
        return path, self.expression()

    def manipulation(self) -> Node:
        self.depth += 1
        if self.depth > DEPTH:
            raise self.malformed()
        kind = self.kind
        match kind:
            case "FROM":
                self.update_from()
            case "UPDATE":
                self.update()
            case "DELETE":
                self.delete()
            case "INSERT":
                self.insert()
            case _:
                self.actions()
        self.depth -= 1
        word = _NAMED.get(kind, kind.lower())
        self.faults.insert(0, errors.Malformed(f"Keyword {word} only expected at the top level in the query"))
        return Node("null", "")

    def delete(self) -> Delete:
        self.next()
        self.expect("FROM", reason="Expected FROM after DELETE")
        source = self.simple_path()
        self.no_alias()
        where = self.expression() if self.accept("WHERE") else None
        returning = self.returning()
        if returning not in (None, ("ALL", "OLD")):
            self.faults.append(errors.returning_of_delete(f"RETURNING {' '.join(returning)} *"))
        return Delete(source, where, returning)

    def returning(self) -> tuple[str, str] | None:
        if not self.accept("RETURNING"):
            return None
        elements = self.list_of(self.returned)
        if len(elements) > 1:
            self.faults.append(errors.returning_many())
        return elements[0]

    def returned(self) -> tuple[str, str]:
        what = self.expect("ALL", "MODIFIED", reason=_RETURNED).kind
        when = self.expect("OLD", "NEW", reason=_RETURNED).kind
        if not self.accept("*"):
            self.expression()
            self.faults.append(errors.returning_target())
        return what, when

    def exists(self) -> Exists | None:
        self.next()
        self.expect("(", reason="Unexpected keyword")
        if self.kind == "SELECT":
            select = self.select()
            self.expect(")")
            return Exists(select)
        raise self.malformed()
