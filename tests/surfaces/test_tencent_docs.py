"""docs/surfaces.md says what the Tencent surface does."""

from __future__ import annotations

import re

from server.surfaces.tencent import ROUTES, codes, surface, usersig, web
from tests.house.test_docs import TEXTS, named, rows, section

PAGE = section(TEXTS["docs/surfaces.md"], "## Tencent Chat")
CALLS = rows(section(TEXTS["docs/surfaces.md"], "### REST: the calls"))
# of SURFACES 5.3
VENDORS = {
    "/v4/recentcontact/delete",
    "/v4/group_open_http_svc/clear_group_msg",
    "/v4/group_open_http_svc/delete_group_msg_by_sender",
    "/v4/openim/admin_getroammsg",
    "/v4/group_open_http_svc/group_msg_get_simple",
    "/v4/openim/sendmsg",
    "/v4/openim/batchsendmsg",
    "/v4/openim/importmsg",
    "/v4/openim/admin_msgwithdraw",
    "/v4/openim/admin_set_msg_read",
    "/v4/openim/get_c2c_unread_msg_num",
    "/v4/recentcontact/get_list",
}


def test_every_call_has_a_row_that_says_whether_it_is_there() -> None:
    said = {path: row[1] for row in CALLS for path in named(row[0])}
    served = {route.path for route in ROUTES if route.path.startswith("/v4/")}
    assert served <= set(said)
    assert set(said) >= VENDORS
    assert {path for path, words in said.items() if words.startswith("yes")} == served
    assert "/v1/conversations/delete" in PAGE


def test_every_code_that_is_answered_stands_there() -> None:
    answered = {
        *(codes.BAD_HTTP, codes.BAD_JSON, codes.NO_IDENTIFIER, codes.NO_USERSIG, codes.UNKNOWN_APP),
        *(codes.TOO_OFTEN, codes.NOT_ADMIN, codes.NO_APP),
        *(usersig.EXPIRED, usersig.NOT_PARSED, usersig.NOT_VERIFIED),
        *(usersig.OTHER_IDENTIFIER, usersig.OTHER_APP),
        *(surface.NOT_FOUND, surface.INVALID_ID, surface.INVALID_OPERATION, surface.TOO_OFTEN),
    }
    for service in (codes.RECENT_CONTACT, codes.GROUP, codes.OPEN_IM):
        answered |= {
            service.parameter,
            service.not_allowed,
            service.not_there,
            service.failed,
            service.timed_out,
        }
        answered |= set(service.fields.values())
    assert len(answered) > 30
    assert answered <= {int(number) for number in re.findall(r"\b[0-9]{4,5}\b", PAGE)}
    for source in ("`tencent`", f"`{web.SOURCE}`"):
        assert source in PAGE
