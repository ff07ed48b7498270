"""Copies of tables as they were at a moment: backups, restored tables.

long_jobs  work that is under way: stored, run in steps, resumed after a crash
copies     the steps: read a piece of the table at the moment (`database.moment`), write it, store the position
"""
