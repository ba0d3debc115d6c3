"""AWS's service models and endpoints, as botocore ships them, read once for all clients.

botocore's own loader looks into the folders of all four hundred services to know one by name, and builds an
OrderedDict for every object in two megabytes of JSON: half of what the first clients cost.
https://botocore.amazonaws.com/v1/documentation/api/latest/reference/loaders.html
"""

from __future__ import annotations

import gzip
import json
import os
from functools import cache
from typing import Any, List, Optional

from botocore.loaders import JSONFileLoader, Loader

__all__ = ["loader"]

#: How botocore's data files end, and what opens them.
_FORMS = ((".json", open), (".json.gz", gzip.open))


@cache
def loader(data_path: Optional[str]) -> Any:
    """A botocore Loader over its own models and those in the folders of `data_path` (AWS_DATA_PATH)."""
    folders = data_path.split(os.pathsep) if data_path else []
    return _Models([os.path.expanduser(os.path.expandvars(folder)) for folder in folders])


class _PlainDicts(JSONFileLoader):  # type: ignore[misc]
    def load_file(self, file_path: str) -> Any:
        """What `file_path` holds, which is without its ending; None where there is none."""
        for ending, opened in _FORMS:
            try:
                with opened(file_path + ending, "rb") as file:
                    return json.loads(file.read())
            except FileNotFoundError:
                continue
        return None


class _Models(Loader):  # type: ignore[misc]
    FILE_LOADER_CLASS = _PlainDicts

    def list_available_services(self, type_name: str) -> List[str]:
        """All services by their folders; one without this type is found out when that is loaded."""
        folders = filter(os.path.isdir, self.search_paths)
        return sorted({name for folder in folders for name in os.listdir(folder)})
