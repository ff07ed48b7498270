"""PartiQL statements become the same trees as expressions. Pure.

lexer         tokens
expressions   the grammar of expressions
grammar       the grammar of statements
tree          statements as written
literals      the attribute values that literals stand for
translation   statements as written to statements that mean something
statements    what they mean
prepared      the statement of a text, the values of an execution
keys          what its condition says about keys, once the table is known
"""
