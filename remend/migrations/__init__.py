"""How databases of earlier versions become one of today: alembic's revisions, oldest first, in `versions`.

A revision that was released is never edited: it has run somewhere, and must mean the same for ever.
"""
