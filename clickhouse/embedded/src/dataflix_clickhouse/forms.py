"""Forms (`multipart/form-data`), in which a client may send what else stands in the URL."""

from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP

from dataflix_clickhouse.error_codes import ErrorCode
from dataflix_clickhouse.errors import refused

# A form is for long parameters, not for data.
MAX_FORM_BYTES = 16 << 20


def is_form(content_type: str) -> bool:
    """Say whether a body with this Content-Type is a form."""
    return content_type.split(";", maxsplit=1)[0].strip().lower() == "multipart/form-data"


def fields(content_type: str, body: bytes) -> Iterator[tuple[str, str]]:
    """Yield the form's fields as (name, value).

    Raises:
        QueryError: the body is too long or no form, or carries external data, which are not supported.
    """
    if len(body) > MAX_FORM_BYTES:
        raise refused(ErrorCode.BAD_ARGUMENTS, f"A form may have up to {MAX_FORM_BYTES} bytes.")
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    if not message.is_multipart():
        raise refused(ErrorCode.BAD_ARGUMENTS, "The body is not the multipart/form-data its header says.")
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if part.get_filename() is not None:
            raise refused(ErrorCode.NOT_IMPLEMENTED, f"External data ({name}) is not supported.")
        if not isinstance(name, str):
            raise refused(ErrorCode.BAD_ARGUMENTS, "A field of the form has no name.")
        yield name, _content(part)


def _content(part: Message) -> str:
    data = part.get_payload(decode=True)
    return data.decode(errors="surrogateescape") if isinstance(data, bytes) else ""
