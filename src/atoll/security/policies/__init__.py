"""IAM policies: parsed documents, and decisions. Pure.

`document` parses policies into statements, `patterns` matches names and ARNs, `conditions` compiles conditions,
`principals` says by which names a policy may mean a caller, and `decision` combines the policies that concern one
request. A decision without conditions depends on the caller, the action and the resource only, so callers may keep it.
"""
