"""Copies of tables as they were at an earlier moment: backups and restored tables.

long_jobs  long work on tables: stored, run in steps, resumed after a crash
copies     the steps: read a piece of the table at the moment (`database.moment`), write it, store the position
"""
