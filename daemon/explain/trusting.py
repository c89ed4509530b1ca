"""Reasons of clock and TLS: whether the Controller and this host can believe each other."""

from collections.abc import Mapping

from checks.model import Reason
from daemon.explain.page import Page
from daemon.explain.platforms import CLOCK

_SHOW_CERTIFICATE = "openssl s_client -connect HOST:443 -servername HOST -showcerts </dev/null"

PAGES: Mapping[Reason, Page] = {
    Reason.OFFSET_EXCEEDED: Page(
        meaning="This host's clock differs from true time by more than is good: critical from `clock.max_offset` (5 s, "
        "the Controller's tolerance), a warning from `clock.warn_offset`.",
        impact="Beyond 5 s the Controller rejects the Connector's tokens (`Invalid token`): the Connector flaps or "
        "goes offline, and all its users with it.",
        commands=("chronyc tracking", "chronyc -n sources", "timedatectl timesync-status"),
        fix="Run chrony on the host; in a container the container's host is what counts. If chrony runs, see why it "
        "does not correct: no reachable source, or a virtual machine that was paused. `chronyc makestep` sets it "
        "right at once.",
        fixes=CLOCK,
    ),
    Reason.SOURCES_DISAGREE: Page(
        meaning="The time sources contradict each other, and no majority agrees on a time.",
        impact="None by itself: it is only unknown whether the clock is right.",
        commands=("chronyc -n sources -v", "chronyc -n ntpdata"),
        fix="Remove the source that is wrong. With two sources nobody can tell which: use four.",
    ),
    Reason.NO_TIME_SOURCE: Page(
        meaning="No time source gave a usable answer, or only one with an error as large as the tolerance.",
        impact="None by itself: it is only unknown whether the clock is right. Unwatched, it may drift off.",
        commands=("chronyc -n sources", "chronyd -Q 'server TIME_SERVER iburst'"),
        fix="Allow outbound UDP port 123 to the time servers, or name reachable ones in `clock.servers`. The "
        "Controller's own Date header is used as well when the control plane answers.",
        fixes={
            "AWS": "The Amazon Time Sync Service needs no rule: `server 169.254.169.123 iburst` in chrony.conf.",
            "Google Cloud": "The metadata server keeps time: `server metadata.google.internal iburst` in chrony.conf.",
        },
    ),
    Reason.CLOCK_STEPPED: Page(
        meaning="The clock jumped by a second or more since the last look.",
        impact="Connections may have dropped at that moment; tokens made before the jump may be rejected.",
        commands=("journalctl -u chrony -u systemd-timesyncd --since -1h", "chronyc tracking"),
        fix="A one-off correction after a reboot or resume is fine. Repeated jumps come from two programs that set "
        "the clock (chrony and the hypervisor's tools), or from a virtual machine that is paused for backups.",
    ),
    Reason.TLS_UNTRUSTED: Page(
        meaning="The server's certificate does not lead to any root that we know, public or in `ca_file`.",
        impact="The Connector can't trust its Controller: it will not come online.",
        commands=(_SHOW_CERTIFICATE,),
        fix="See who issued the certificate. A company's name there means that traffic is inspected: exempt "
        "*.twingate.com. A missing intermediate means that the server is set up incompletely.",
    ),
    Reason.TLS_EXPIRED: Page(
        meaning="By this host's clock the certificate's validity has ended.",
        impact="The Connector can't trust its Controller: it will not come online.",
        commands=("date -u", _SHOW_CERTIFICATE + " | openssl x509 -noout -dates"),
        fix="Check this host's clock first: a clock in the future makes every certificate look expired. If the "
        "clock is right, something in between serves an old certificate.",
    ),
    Reason.TLS_NOT_YET_VALID: Page(
        meaning="By this host's clock the certificate's validity has not begun.",
        impact="The Connector can't trust its Controller: it will not come online.",
        commands=("date -u", "chronyc tracking", _SHOW_CERTIFICATE + " | openssl x509 -noout -dates"),
        fix="This host's clock is almost certainly behind: set it right.",
        fixes=CLOCK,
    ),
    Reason.TLS_NAME_MISMATCH: Page(
        meaning="The certificate is trusted, but made out to another name.",
        impact="The Connector can't trust its Controller: it will not come online.",
        commands=("dig HOST A", _SHOW_CERTIFICATE + " | openssl x509 -noout -ext subjectAltName"),
        fix="The name leads to a wrong server: check DNS and /etc/hosts, `connector.network`, and captive portals.",
    ),
    Reason.TLS_INTERCEPTED: Page(
        meaning="The certificate leads to a root that only this host trusts (a company's inspection), or no issuer "
        "matches `control_plane.expected_issuers`: somebody opens the TLS connection in between.",
        impact="Twingate's programs pin certificates: behind an inspection the Connector loses its Relays or does not "
        "come online.",
        commands=(_SHOW_CERTIFICATE,),
        fix="Exempt *.twingate.com from TLS inspection in the firewall or proxy named as issuer.",
    ),
    Reason.TLS_FAILED: Page(
        meaning="The TLS handshake broke off: no common version or cipher, an alert, or the other side speaks no TLS.",
        impact="The Connector can't use this endpoint.",
        commands=(_SHOW_CERTIFICATE, "curl -sv https://HOST/ -o /dev/null"),
        fix="Look at what answers: a captive portal and a plain proxy speak no TLS; a middlebox may cut the "
        "handshake for the server name it sees.",
    ),
}
