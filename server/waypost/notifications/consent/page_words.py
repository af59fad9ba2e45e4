"""What the unsubscribe page says, in the languages of our notices."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from waypost.notifications.kinds import Group

FALLBACK: Final = "en"

# {business} and {address} are put in; empty of a business that has no name stands "us".
WORDS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "en": {
            "title": "E-mails from {business}",
            "us": "us",
            "to": "For {address}",
            "reminder": "reminders",
            "transactional": "notices that are not required, such as news of a trip",
            "staff": "alerts to staff",
            "ask": "You get {what} from {business} at this address.",
            "stop_these": "Stop these e-mails",
            "stop_all": "Stop everything that is not required",
            "required": "Receipts for payments and news that an agreement depends on will still come.",
            "done_these": "Done. You will get no more {what} at this address.",
            "done_all": "Done. You will get only what is required at this address.",
            "again": "I want them again",
            "unknown_title": "This link does not work",
            "unknown": "It is not complete. Please open it once more from the e-mail, or tell the business.",
        },
        "fr": {
            "title": "E-mails de {business}",
            "us": "nous",
            "to": "Pour {address}",
            "reminder": "des rappels",
            "transactional": "des avis facultatifs, comme les nouvelles d’un trajet",
            "staff": "des alertes au personnel",
            "ask": "À cette adresse, vous recevez {what} de {business}.",
            "stop_these": "Ne plus recevoir ces e-mails",
            "stop_all": "Ne plus rien recevoir de facultatif",
            "required": "Les reçus de paiement et ce dont dépend un accord continueront d’arriver.",
            "done_these": "C’est fait. À cette adresse, nous n’enverrons plus rien de tel : {what}.",
            "done_all": "C’est fait. À cette adresse, vous ne recevrez plus que le nécessaire.",
            "again": "Je veux les recevoir à nouveau",
            "unknown_title": "Ce lien ne fonctionne pas",
            "unknown": "Il est incomplet. Ouvrez-le à nouveau depuis l’e-mail, ou prévenez l’entreprise.",
        },
        "es": {
            "title": "Correos de {business}",
            "us": "nosotros",
            "to": "Para {address}",
            "reminder": "recordatorios",
            "transactional": "avisos que no son obligatorios, como noticias de un viaje",
            "staff": "alertas para el personal",
            "ask": "En esta dirección recibe {what} de {business}.",
            "stop_these": "No recibir más estos correos",
            "stop_all": "No recibir nada que no sea obligatorio",
            "required": "Los recibos de pagos y lo que un acuerdo exige seguirán llegando.",
            "done_these": "Hecho. En esta dirección ya no recibirá {what}.",
            "done_all": "Hecho. En esta dirección solo recibirá lo obligatorio.",
            "again": "Quiero recibirlos de nuevo",
            "unknown_title": "Este enlace no funciona",
            "unknown": "Está incompleto. Ábralo de nuevo desde el correo o avise al negocio.",
        },
        "pt": {
            "title": "E-mails de {business}",
            "us": "nós",
            "to": "Para {address}",
            "reminder": "lembretes",
            "transactional": "avisos que não são obrigatórios, como notícias de uma viagem",
            "staff": "alertas para a equipa",
            "ask": "Neste endereço recebe {what} de {business}.",
            "stop_these": "Não receber mais estes e-mails",
            "stop_all": "Não receber nada que não seja obrigatório",
            "required": "Os recibos de pagamentos e o que um acordo exige continuarão a chegar.",
            "done_these": "Feito. Neste endereço já não receberá {what}.",
            "done_all": "Feito. Neste endereço só receberá o obrigatório.",
            "again": "Quero recebê-los de novo",
            "unknown_title": "Esta ligação não funciona",
            "unknown": "Está incompleta. Abra-a de novo a partir do e-mail, ou avise a empresa.",
        },
    }
)


def words_of(locale: str) -> tuple[str, Mapping[str, str]]:
    """The language, and its words; English for one that we have none in."""
    language = locale.replace("_", "-").partition("-")[0].lower()
    return (language, WORDS[language]) if language in WORDS else (FALLBACK, WORDS[FALLBACK])


def what(words: Mapping[str, str], group: Group) -> str:
    """What the e-mails of a group are called."""
    return words[str(group)]
