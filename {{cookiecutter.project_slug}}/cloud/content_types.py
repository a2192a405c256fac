"""The media types of the objects that the commands write, the same on every machine."""

import mimetypes

UNKNOWN = "application/octet-stream"
# Python's own list without the machine's, which on Windows calls CSV a workbook of Excel.
_TYPES = mimetypes.MimeTypes()
for _ending, _type in {
    ".csv": "text/csv",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".toml": "application/toml",
    ".whl": "application/zip",
    ".yaml": "application/yaml",
}.items():
    _TYPES.add_type(_type, _ending)
_PACKED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


def content_type(name: str) -> str:
    """Returns the media type of an object by the end of its name, as it is stored.

    What is packed is of its packing's type, not of its contents'.
    """
    kind, packing = _TYPES.guess_type(name.rpartition("/")[2])
    if packing is not None:
        return _PACKED.get(packing, UNKNOWN)
    return kind or UNKNOWN
