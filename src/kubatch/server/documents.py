"""Answers that are documents: discovery and OpenAPI, with what caches need to know of them."""

from __future__ import annotations

from datetime import datetime, timedelta

from kubatch.server import discovery, negotiate, openapi, request
from kubatch.server.replies import Call, Reply, page_not_found


def found(call: Call, document: discovery.Document | None) -> Reply:
    """A discovery document, or that the client has it already."""
    if document is None:
        return page_not_found()
    if not document.etag:
        return Reply(document.body)
    headers = {"Cache-Control": "public", "ETag": document.etag, "Vary": "Accept"}
    if document.etag in call.header("If-None-Match"):
        return Reply(b"", 304, document.content_type, headers)
    return Reply(document.body, 200, document.content_type, headers)


def openapi_document(call: Call, now: datetime) -> Reply:
    """An OpenAPI document of the path, or where it is."""
    info, known = call.info, call.header("If-None-Match")
    match info.path.split("/")[2:]:
        case ["v2"]:
            # Loaded when somebody asks for it, which hardly anybody does.
            from kubatch.server.swagger import document as swagger

            made = swagger.answer(call.header("Accept"))
            headers = {"ETag": made.tag, "Vary": "Accept"}
            if made.tag in known:
                return Reply(b"", 304, made.content_type, headers)
            return Reply(made.body, 200, made.content_type, headers)
        case ["v3"]:
            tag = f'"{openapi.v3_index_hash()}"'
            if tag in known:
                return Reply(b"", 304, negotiate.JSON, {"ETag": tag})
            return Reply(openapi.v3_index(), 200, negotiate.JSON, {"ETag": tag})
        case ["v3", "api", version]:
            group = ""
        case ["v3", "apis", group, version]:
            pass
        case _:
            return page_not_found()
    if not discovery.serves(group, version):
        return page_not_found()
    document = openapi.v3(group, version)
    asked = request.first(info.query, "hash")
    if asked and asked != document.hash:
        location = f"{info.path}?hash={document.hash}"
        return Reply(b"", 301, negotiate.JSON, {"Location": location})
    headers = {"ETag": f'"{document.hash}"', "Vary": "Accept"}
    if asked:
        expires = now + timedelta(days=365)
        headers["Cache-Control"] = "public, immutable"
        headers["Expires"] = expires.strftime("%a, %d %b %Y %H:%M:%S GMT")
    if headers["ETag"] in known:
        return Reply(b"", 304, negotiate.JSON, headers)
    return Reply(document.body, 200, negotiate.JSON, headers)
