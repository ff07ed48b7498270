"""The attributes that describe the last change of an item in a global table of 2017.

aws:rep:deleting        whether the item is being deleted: always false, since Atoll deletes an item at once
aws:rep:updatetime      seconds since 1970, with the counter of the version in the last three digits
aws:rep:updateregion    the region that made the change
"""

from __future__ import annotations

import orjson

from atoll.model import values
from atoll.model.values import Item
from atoll.versions import COUNTER_BITS, Version

DELETING, UPDATE_TIME, UPDATE_REGION = "aws:rep:deleting", "aws:rep:updatetime", "aws:rep:updateregion"


def stamped(item: Item, version: Version) -> tuple[Item, int, bytes]:
    """The item with these attributes, its size and its JSON."""
    counter = min(version.time & (1 << COUNTER_BITS) - 1, 999)
    seconds, ms = divmod(version.ms, 1000)
    item = {
        **item,
        DELETING: {"BOOL": False},
        UPDATE_TIME: {"N": f"{seconds}.{ms:03}{counter:03}".rstrip("0").rstrip(".")},
        UPDATE_REGION: {"S": version.region},
    }
    return item, values.item_size(item), orjson.dumps(item)
