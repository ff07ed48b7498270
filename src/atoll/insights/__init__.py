"""Contributor insights: the most accessed and the most throttled keys of tables and global indexes, and the conflicts
of conditional writes by item.

    sketch     the heaviest keys of a stream of them, in bounded memory
    settings   which tables and indexes have insights, as stored; their states and rules
    observing  what this process sees of requests, where insights are enabled
    minutes    what was seen, by minute, as stored
    upkeep     drops what is left of tables and indexes that are gone
    reports    the contributors of a time, as the admin API and CloudWatch's rules show them
"""
