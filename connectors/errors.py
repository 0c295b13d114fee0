"""What can go wrong on a server under management.

    ConnectorError
    ├── UnknownEngine            nobody speaks this engine
    ├── ServerUnreachable        no connection: try again later
    │   └── ServerFull           it answers, and has no connection left
    ├── AdminLoginRefused        our own account is not let in
    │   ├── NotEncrypted         the connection is not protected as the setting says
    │   └── CertificateRefused   it answers, and its certificate is not one that the setting accepts
    ├── TokenNeedsTls            a token would be sent in the clear
    ├── PasswordNeedsTls         a password would be sent in the clear
    ├── OwnPasswordFixed         our own account has no password that could be changed
    ├── AdminLacksPrivilege      our own account is in, but may not do this
    ├── ScopeNotOnServer         a database, schema, table or role of the scope is not there
    ├── TriggerInTheWay          a trigger of the server's own, on statements or logins, fails under ours
    ├── PrincipalCannotLogIn     the account was made, yet a real login as it failed
    ├── LimitNotSupported        the server cannot hold a limit that was asked for
    ├── IdentityNotSupported     the engine does not let people in with their own identity
    └── ServerRefused            any other error of the server
        └── GrantedByOthers      somebody gave our accounts more than was approved, and only they can take it back

Each docstring is the sentence a person may read; `detail` adds the server's own words with every secret taken out.
"""

from __future__ import annotations


class ConnectorError(Exception):
    """The database server could not do what was asked."""

    #: True when the same call may succeed later without anybody changing anything.
    transient = False

    def __init__(self, detail: str = "", *, code: str = "", likely: str = "") -> None:
        """`detail` is shown to people: no secrets. `code` is the engine's own error code (SQLSTATE or number).

        `likely` says in a sentence what is most probably behind that code.
        """
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.likely = likely
        self.context = ""
        """In which of the server's own functions it arose, in the server's words; not for people."""

    @property
    def sentence(self) -> str:
        """What happened, for a person, in one line."""
        return (type(self).__doc__ or "").strip().splitlines()[0]

    def __str__(self) -> str:
        code = f" [{self.code}]" if self.code else ""
        return " ".join(part for part in (self.sentence, self.likely, f"{self.detail}{code}".strip()) if part)


class UnknownEngine(ConnectorError):
    """No connector speaks this engine. Choose one of the engines that the Servers page offers."""


class ServerUnreachable(ConnectorError):
    """The database server does not answer. Check its address, its port and the network between, then try again."""

    transient = True


class ServerFull(ServerUnreachable):
    """The database server has no connection left for Lockgate. End some, or raise its limit; Lockgate goes on trying."""


class TriggerInTheWay(ConnectorError):
    """A trigger on this server fails under what Lockgate does. Ask the server's administrator to let Lockgate pass."""


class AdminLoginRefused(ConnectorError):
    """The server refused Lockgate's own account. Check its name, its password reference and the TLS setting."""


class NotEncrypted(AdminLoginRefused):
    """The server does not offer the TLS that its setting asks for. Nothing secret was sent; put TLS in order there."""


class CertificateRefused(AdminLoginRefused):
    """The server answers, but its certificate is not accepted. Check its name, its end and its authority; nothing was sent."""


class TokenNeedsTls(ConnectorError):
    """A token goes to the server as it is, so the connection needs TLS. Choose 'verify-full'; nothing was sent."""


class PasswordNeedsTls(ConnectorError):
    """This server is sent the password as it is, which needs TLS. Choose 'require' or better; nothing was sent."""


class OwnPasswordFixed(ConnectorError):
    """Lockgate's own account does not log in with a password that it could change. Change it on the server by hand."""


class AdminLacksPrivilege(ConnectorError):
    """Lockgate's own account may not do this on the server. Run the SQL that the server's page shows, once."""


class ScopeNotOnServer(ConnectorError):
    """A database, schema, table or role of this access role is not on the server. Ask an administrator to correct it."""


class PrincipalCannotLogIn(ConnectorError):
    """The account was made, but a login with it failed, so it was not handed out."""

    transient = True


class LimitNotSupported(ConnectorError):
    """This server cannot hold a limit that the access role asks for. Ask an administrator to correct the access role."""


class IdentityNotSupported(ConnectorError):
    """People cannot use their own identity on this server. Ask an administrator to correct the access role."""


class ServerRefused(ConnectorError):
    """The database server refused a statement."""


class GrantedByOthers(ServerRefused):
    """Somebody granted more on the server than was approved, and only they can take it back. Ask them to, then try again."""
