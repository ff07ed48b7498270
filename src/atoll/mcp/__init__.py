"""`atoll mcp`: give an assistant access to tables, by the Model Context Protocol. Needs the extra `mcp`.

tools     the tools of an assistant for an endpoint; every result is bounded
server    the tools in the protocol, by the official library
http      the protocol over HTTP: a bearer token, and checks of Host and Origin
command   the options
"""
