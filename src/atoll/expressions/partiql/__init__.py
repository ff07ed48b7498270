"""Translates PartiQL statements to the trees of expressions. Pure.

lexer         tokens
expressions   the grammar of expressions
grammar       the grammar of statements
tree          parsed statements
literals      the attribute values of literals
translation   from parsed statements to executable ones
statements    executable statements
prepared      the cached statement of a text, and the values of one execution
keys          the keys or key ranges that its condition selects, once the table is known
"""
