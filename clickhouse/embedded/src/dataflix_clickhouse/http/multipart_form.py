"""Forms (`multipart/form-data`), which can carry the same parameters as the URL."""

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header

from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import query_error

_MULTIPART = "multipart/form-data"
# A form is for long parameters, not for data.
MAX_FORM_BYTES = 16 << 20


def is_form(content_type: str) -> bool:
    """Return whether a body with this Content-Type is a form."""
    return content_type.split(";", maxsplit=1)[0].strip().lower() == _MULTIPART


def parse_fields(content_type: str, body: bytes) -> list[tuple[str, str]]:
    """Return the fields of a form as (name, value).

    Raises:
        QueryError: the body is too long or not a form, or it has external data, which are not supported.
    """
    if len(body) > MAX_FORM_BYTES:
        raise query_error(ErrorCode.BAD_ARGUMENTS, f"A form may have up to {MAX_FORM_BYTES} bytes.")
    fields: list[tuple[str, str]] = []
    is_complete = False

    def on_field(field: Field) -> None:
        fields.append((_decode(field.field_name), _decode(field.value)))

    def on_file(file: File) -> None:
        name = _decode(file.field_name)
        raise query_error(ErrorCode.NOT_IMPLEMENTED, f"External data ({name}) is not supported.")

    def on_end() -> None:
        nonlocal is_complete
        is_complete = True

    boundary = parse_options_header(content_type)[1].get(b"boundary")
    try:
        FormParser(_MULTIPART, on_field, on_file, on_end, boundary=boundary).write(body)
    except FormParserError as error:
        raise _malformed() from error
    if not is_complete:
        raise _malformed()
    return fields


def _malformed() -> Exception:
    return query_error(
        ErrorCode.BAD_ARGUMENTS, "The body is not the multipart/form-data that its Content-Type says."
    )


def _decode(data: bytes | None) -> str:
    return (data or b"").decode(errors="surrogateescape")
