"""`atoll mcp`: lets an assistant look at tables, by the Model Context Protocol. Needs the extra `mcp`.

tools     what an assistant may do with an endpoint; every result is bounded
server    the tools in the protocol, by the official library
http      the protocol over HTTP: a bearer token, and checks of Host and Origin
command   the options
"""
