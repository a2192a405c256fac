"""The parts that paths of Vertex AI's REST API are made of."""

from starlette.convertors import PathConvertor, register_url_convertor

from vertex_emulator.gateway import endpoint_path


class _Api(PathConvertor):
    regex = endpoint_path.API


class _Location(PathConvertor):
    regex = r"projects/[^/\x00-\x1f]+/locations/[^/\x00-\x1f]+"


class _Id(PathConvertor):
    regex = r"[^/:\x00-\x1f]+"


class _Nesting(PathConvertor):
    regex = r"(?:[^/:\x00-\x1f]+/[^/:\x00-\x1f]+/)*"


for _key, _convertor in {
    "api": _Api,
    "location": _Location,
    "id": _Id,
    "nesting": _Nesting,
}.items():
    register_url_convertor(_key, _convertor())

LOCATION = "/{api:api}/{location:location}"
ID = "/{id:id}"
