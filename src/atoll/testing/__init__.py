"""For tests of applications: an in-process server, a pytest plugin, time travel."""
