"""The faces of the fake provider; a new one is a file here and a line below."""

from __future__ import annotations

from tests.fakes.faces.africastalking import AfricasTalking
from tests.fakes.faces.base import Face
from tests.fakes.faces.daraja import DarajaFace
from tests.fakes.faces.http import HttpGateway
from tests.fakes.faces.push import PushService
from tests.fakes.faces.smtp import Smtp
from tests.fakes.faces.twilio import Twilio
from tests.fakes.faces.webhook import WebhookReceiver

FACES: tuple[type[Face], ...] = (Twilio, AfricasTalking, HttpGateway, DarajaFace, WebhookReceiver, PushService, Smtp)

__all__ = ["FACES", "Face"]
