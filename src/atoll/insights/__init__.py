"""Contributor insights: the most accessed and the most throttled keys of tables and global indexes, and the conflicts
of conditional writes by item.

    sketch     the heaviest keys of a stream of keys, in bounded memory
    settings   the stored settings of tables and indexes with insights; their states and rules
    observing  collects the accesses of this process's requests, where insights are enabled
    minutes    the stored results, by minute
    upkeep     drops the data of deleted tables and indexes
    reports    the contributors in a time span, for the admin API and CloudWatch's rules
"""
