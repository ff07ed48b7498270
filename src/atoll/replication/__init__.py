"""Replicas of tables in several regions: the messages between regions, and the faults on their way.

A replica asks another region for its changes, and applies the answer:

    follower     the loops, one for each table and other region
    steps        one step of a loop: the question, and the effect of its answer
    receiver     apply an answer: changes, a copy, the revert to a new master
    conflicts    the report of changes that lost

A region answers:

    answers      the messages, and the waiting for changes
    source       the changes and copies that a replica gives
    enquiries    facts about a table, for operations on replicas

The replicas of a table:

    membership   join, leave, and learn of each other
    shared       the settings that all have
    masters      replicas with one master
    legacy       global tables of 2017

The transport of messages:

    exchange     the interface: ask a region, wherever it is served
    messages     the frame
    shapes, validation, checked    checks of the messages of peers
    peer, http   over HTTP
    links, faults, faulty, waits, pacing    faults of links, on demand
"""
