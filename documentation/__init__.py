"""The documentation's site: MkDocs renders `docs/`; this package adds the pages that are made from the code.

reference   the reference pages: options, operations, administration, errors
hooks       what MkDocs calls: adds those pages, and the pages that live elsewhere in the repository
"""
