"""/api/new-item: where a product that nobody bought yet would land, from its picture and text."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastapi import FastAPI
from pydantic import ValidationError
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from anchorrec_graph.serve.api import answers
from anchorrec_graph.serve.api.errors import ApiError, of_validation
from anchorrec_graph.serve.api.limits import Limits
from anchorrec_graph.serve.api.model import Model
from anchorrec_graph.serve.api.new_item import Row
from anchorrec_graph.serve.api.routes.ranking import ranked
from anchorrec_graph.serve.api.schemas import NewItemQuery
from anchorrec_graph.serve.api.service import Service, errors, note_ids

PARTS = ("image", "text", "query")
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "image": {"type": "string", "format": "binary"},
                        "text": {"type": "string"},
                        "query": {
                            "type": "string",
                            "contentMediaType": "application/json",
                            "contentSchema": NewItemQuery.model_json_schema(),
                        },
                    },
                },
                "example": {"text": "A crime comedy in Los Angeles", "query": '{"user": "1", "k": 10}'},
            }
        },
    }
}


class Form(NamedTuple):
    picture: bytes | None
    text: str | None
    query: NewItemQuery


def add_new_item(app: FastAPI, service: Service) -> None:
    @app.post(
        "/api/new-item",
        responses={200: {"model": answers.NewItemAnswer}, **errors(404, 501)},
        openapi_extra=FORM,
        tags=["ranking"],
    )
    async def new_item(request: Request) -> Response:
        """A multipart form: a picture, a text, or both, and perhaps for whom the new item is ranked."""
        form = await read_form(request, service.limits)
        model = service.holder.model(form.query.model)
        note_ids(request, user=form.query.user, history=form.query.history)
        if form.query.user is not None:
            model.user(form.query.user)
        rows = await service.encoding.run(
            lambda: service.encoders.rows(form.picture, form.text, service.limits.pixels)
        )
        return await service.answer(lambda: placed(model, rows, form.query))


async def read_form(request: Request, limits: Limits) -> Form:
    """
    Raises:
        ApiError: no form, other parts than ours, none of picture and text, or a text that is too long.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise ApiError(422, "invalid", "send multipart/form-data with image, text or both")
    form = await _parsed(request, limits)
    try:
        for name in form:
            if name not in PARTS or len(form.getlist(name)) > 1:
                raise ApiError(422, "invalid", f"the form has {', '.join(PARTS)}, each once", name)
        picture = await _picture(form)
        text, query = _field(form, "text"), _field(form, "query")
    finally:
        await form.close()
    if text is not None and len(text) > limits.text_chars:
        raise ApiError(413, "too_large", f"the text may have {limits.text_chars} letters", "text")
    if picture is None and text is None:
        raise ApiError(422, "invalid", "send an image, a text, or both")
    return Form(picture, text, _query(query))


class _Parser(MultiPartParser):
    """Knows whether the form came to its end."""

    ended = False

    def on_end(self) -> None:
        self.ended = True

    def close(self) -> None:
        """Close the files of parts that did not."""
        for file in self._files_to_close_on_error:
            file.close()


async def _parsed(request: Request, limits: Limits) -> FormData:
    letters = 4 * limits.text_chars
    parser = _Parser(request.headers, request.stream(), max_files=1, max_fields=2, max_part_size=letters)
    try:
        form = await parser.parse()
    except (MultiPartException, FormParserError) as error:
        raise ApiError(422, "invalid", f"the form cannot be read ({error})") from error
    if not parser.ended:
        parser.close()
        raise ApiError(422, "invalid", "the form is cut off; its last boundary is missing")
    return form


async def _picture(form: FormData) -> bytes | None:
    """The upload; None if there is none, as a browser sends for a file field left empty."""
    part = form.get("image")
    if not part:
        return None
    if not isinstance(part, UploadFile):
        raise ApiError(422, "invalid", "image must be a file", "image")
    return await part.read() or None


def _field(form: FormData, name: str) -> str | None:
    value = form.get(name)
    if isinstance(value, UploadFile):
        raise ApiError(422, "invalid", f"{name} must be text, not a file", name)
    return (value or "").strip() or None


def _query(text: str | None) -> NewItemQuery:
    try:
        return NewItemQuery.model_validate_json(text or "{}")
    except ValidationError as error:
        problems = [{**problem, "loc": ("query", *problem["loc"])} for problem in error.errors()]
        raise of_validation(problems) from error


def placed(model: Model, rows: dict[str, Row], query: NewItemQuery) -> dict[str, Any]:
    history = None if query.history is None else model.history(query.history)
    place = model.catalog.place(rows, k=query.k, user=query.user, history=history)
    return {
        "similar": {name: ranked(model, table, "similarity") for name, table in place.similar.items()},
        "score": place.score,
        "rank": place.rank,
        "candidates": place.candidates,
        "parts": place.parts,
    }
