"""Why a delivery is where it is, in words: every reason code has some."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# Where the code stands for a row's state, in the order in which the questions are asked.
_OURS: Final = {
    "no_recipient": "There is nobody to tell: the person is not, or no longer, in the register.",
    "no_address": "No address of this channel is known of the person.",
    "bad_address": "The address cannot be one: put it right in the register, then resend.",
    "preference_off": "The person, or the organisation, does not want this kind of notice by this channel.",
    "suppressed_stop": "The person answered STOP; only START from their phone ends it.",
    "suppressed_unsubscribed": "The person has unsubscribed by the link in an e-mail.",
    "suppressed_hard_bounce": "Mail to this address was refused for good: there is no such mailbox.",
    "suppressed_soft_bounces": "Mail to this address came back several times within a few days.",
    "suppressed_complaint": "The person reported an e-mail as spam.",
    "suppressed_opted_out": "The provider says that the person wants no messages from this sender.",
    "suppressed_bad_address": "A provider said that this address does not exist.",
    "suppressed_staff": "A member of staff has put the address on the list of those not to be written to.",
    "held_quiet_hours": "It waits for the end of the quiet hours where the person lives.",
    "held_spend_cap": "The day's cap on spending is reached: it goes out after midnight.",
    "held_organisation_rate": "The organisation sends as many a minute as it may: it goes out in a moment.",
    "held_address_rate": "This address has had as many messages this hour as it may: it goes out later.",
    "held_provider_rate": "The provider gets as many a minute as it takes: it goes out in a moment.",
    "held_provider_down": "Every provider of this channel fails at present: it goes out when one is well again.",
    "held_provider_unreadable": "The account's settings cannot be read, their key is gone: give them anew.",
    "channel_off": "This installation has no way to send by this channel.",
    "no_provider": "The organisation has no account with a provider for this channel.",
    "provider_gone": "The account by which it was to go out has been archived.",
    "render_failed": "Its words could not be made: see the template of this kind and language.",
    "valid_until": "It was of no use any more when its turn came.",
    "cancelled": "It was called off before its turn came.",
    "erased": "The person has been forgotten.",
    "simulated": "The organisation is in test mode: nothing was sent.",
    "trip_cancelled": "The trip was cancelled before its turn came.",
    "nothing_said": "Nothing had been said of it before, so there was nothing to take back.",
    "trip_moved": "The trip had gone on, or had been planned anew, when its turn came.",
    "customer_changed": "The trip was another customer's by then.",
    "invoice_gone": "The invoice was not there any more.",
    "invoice_voided": "The invoice had been voided by then.",
    "invoice_paid": "The invoice had been paid by then.",
    "layby_gone": "The layby was not there any more.",
    "layby_moved": "The layby was in another state by then.",
    "goods_released": "The goods had been handed over by then.",
    "nothing_owed": "Nothing was owed any more.",
    "instalment_covered": "The instalment had been paid by then.",
    "prompt_paid": "It had been paid by then.",
    "lease_ran_out": "The worker that was sending it stopped: nobody knows whether it went out.",
    "timeout": "No answer came in time: nobody knows whether it went out.",
    "channel_failed": "Sending it broke down in a way that we did not foresee: nobody knows whether it went out.",
    "repeated": "Nobody knows what became of the last try; it goes out again, since a second one does no harm.",
    "not_found": "The provider's own list shows that it never had it: it goes out again.",
    "let_be": "A person has decided to let it be.",
    "sent_again": "A person has decided to send it again.",
    "replayed": "A person has sent it once more.",
    "undelivered": "The provider says that it did not arrive.",
    "bounced": "The mail came back.",
    "blocked": "The receiving mail server would not have it.",
    "complaint": "The person reported it as spam.",
}
# Of each provider of SMS.
_OF_GATEWAYS: Final = {
    "connect": "No connection to it was to be had: nothing was sent.",
    "timeout": "Its answer did not come in time.",
    "cut_off": "It hung up before its answer was there.",
    "host_refused": "The address that is set up for it may not be called.",
    "credentials": "It refuses our credentials: see the account's settings.",
    "rate": "It asks us to be slower.",
    "unreadable": "It answered what cannot be understood: nobody knows whether it took the message.",
    "no_id": "It gave the message no id: nobody knows whether it took it.",
    "missing": "Its answer says nothing of this recipient: nobody knows whether it took the message.",
    "refused": "It refused the message.",
    "unavailable": "It says that it is not to be had at present.",
    "balance": "The account there has no money left.",
    "credit": "There was no credit for it.",
    "price": "The message would cost more than the account allows.",
    "gateway": "It broke down over this message: nobody knows whether it went out.",
    "gateway_refused": "The network behind it refused the message.",
    "risk_hold": "It holds the message back as a risk.",
    "sender": "The sender's number or name may not be used there: see the account's settings.",
    "sender_unverified": "The sender's number is not verified there yet.",
    "sender_unregistered": "The sender's number is not registered for such messages there.",
    "account_off": "The account there is suspended.",
    "account_unknown": "There is no such account there: see the account's settings.",
    "test_credentials": "The account is set up with test credentials.",
    "trial": "A trial account there writes to verified numbers only.",
    "daily_limit": "The account there has sent as many today as it may.",
    "report_address": "It does not take the address for its reports: see WAYPOST_PUBLIC_URL.",
    "bad_number": "It says that there is no such number.",
    "number_type": "It cannot write to a number of this type.",
    "unknown_number": "The number is not in use, or was not to be found.",
    "landline": "The number is a landline, which takes no SMS.",
    "off": "The phone was switched off or out of reach.",
    "suspended": "The person's account with the network is suspended.",
    "network": "The number is not of that network.",
    "blocked": "The network, or the person, blocks messages from this sender.",
    "opted_out": "The person wants no messages from this sender.",
    "do_not_disturb": "The person is on the network's list of those not to be disturbed.",
    "no_route": "It has no route to this number.",
    "region": "The account there may not write to this country.",
    "filtered": "The network's filter took it for spam.",
    "text": "It does not take this text.",
    "expired": "It did not arrive in the time that it was given.",
    "unknown": "The network failed, without a reason that is known.",
    "undelivered": "It did not arrive.",
}
_OF_MAIL: Final = {
    "connect": "The mail server was not to be reached: nothing was sent.",
    "timeout": "The mail server did not answer in time.",
    "cut_off": "The mail server hung up.",
    "login": "The mail server refuses our login: see the account's settings.",
    "sender": "The mail server does not take mail from this sender.",
    "recipient": "The mail server does not take mail for this recipient.",
    "data": "The mail server refused the message itself.",
    "greeting": "The mail server does not let us in at present.",
    "not_supported": "The mail server lacks what the message needs.",
    "failed": "The mail server failed.",
    "unreadable": "The mail server's answer cannot be understood: nobody knows whether it took the message.",
    "not_composed": "No e-mail could be made of the words and the address.",
    "sender_unfit": "The sender's address that is set up cannot be one.",
    "not_signed": "The message could not be signed: see the account's DKIM key.",
    "host_refused": "The mail server that is set up may not be called.",
}
_OF_PUSH: Final = {
    "gone": "The browser has ended its subscription.",
    "busy": "The push service asks us to come again later.",
    "timeout": "The push service did not answer in time.",
    "connect": "The push service was not to be reached: nothing was sent.",
    "cut_off": "The push service hung up before its answer was there.",
    "host_refused": "The subscription's address may not be called.",
    "bad_endpoint": "The subscription's address cannot be one.",
    "not_looked_up": "The subscription could not be looked up just then: nothing was sent.",
}
_OF_APPRISE: Final = {
    "not_set_up": "The address for it is not set up, or is not understood.",
    "timeout": "The service behind it did not answer in time.",
    "failed": "It failed: nobody knows whether the message went out.",
}
_NAMES: Final = {
    "twilio": "Twilio",
    "africastalking": "Africa's Talking",
    "http": "The SMS gateway",
}
WORDS: Final[Mapping[str, str]] = MappingProxyType(
    _OURS
    | {f"{code}_{word}": f"{name}: {text}" for code, name in _NAMES.items() for word, text in _OF_GATEWAYS.items()}
    | {f"smtp_{word}": text for word, text in _OF_MAIL.items()}
    | {f"push_{word}": text for word, text in _OF_PUSH.items()}
    | {f"apprise_{word}": text for word, text in _OF_APPRISE.items()}
)
# Codes with a number in them: the first that fits.
_NUMBERED: Final = (
    (re.compile(r"(twilio|africastalking|http)_http_(\d{3})"), "{name} answered HTTP {number}."),
    (re.compile(r"push_http_(\d{3})"), "The push service answered HTTP {number}."),
    (re.compile(r"http_(\d{3})"), "The SMS gateway answered HTTP {number}."),
    (re.compile(r"(twilio)_(\d{1,6})"), "{name} refused it with its error {number}: see its list of errors."),
)


def in_words(reason: str | None) -> str | None:
    """A sentence for staff; None where there is nothing to explain."""
    if reason is None:
        return None
    return WORDS.get(reason) or _numbered(reason) or f"The reason is {reason!r}, which this version does not know."


def is_known(reason: str) -> bool:
    """Are there words for it?"""
    return reason in WORDS or _numbered(reason) is not None


def _numbered(reason: str) -> str | None:
    for pattern, text in _NUMBERED:
        if found := pattern.fullmatch(reason):
            return text.format(name=_NAMES.get(found[1], ""), number=found[found.re.groups])
    return None
