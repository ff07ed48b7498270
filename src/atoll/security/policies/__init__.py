"""IAM policies: parsed documents, and decisions. Pure.

`document` parses policies into statements, `patterns` matches names and ARNs, `conditions` compiles conditions,
`principals` has the names of callers in policies, and `decision` combines the policies that concern one request. A
decision without conditions depends only on the caller, the action and the resource, so it can be cached.
"""
