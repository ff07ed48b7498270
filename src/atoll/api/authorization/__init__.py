"""Authorization: the permissions that a request needs, the values of condition keys, and the decisions.

`checks` lists the actions and resources of a request, `item_keys` and `global_keys` have the values of condition keys,
computed only when a policy asks for one, `resource_policies` finds the policy of a table or stream, and `authorizer`
decides.
"""
