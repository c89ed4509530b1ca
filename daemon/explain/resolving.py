"""Reasons of names: what the nameservers answered."""

from collections.abc import Mapping

from checks.model import Reason
from daemon.explain.page import Page
from daemon.explain.platforms import NAMESERVERS

PAGES: Mapping[Reason, Page] = {
    Reason.NXDOMAIN: Page(
        meaning="A nameserver that this host uses says that the name does not exist.",
        impact="Users of the Resource meet `DNS lookup error`.",
        commands=("dig @NAMESERVER NAME A", "cat /etc/resolv.conf"),
        fix="Check the spelling of the Resource's address. If the name is right, the nameserver asked does not know "
        "the private zone: use the nameservers that serve it, or forward the zone. A record made a moment ago may be "
        "hidden by a cached denial.",
        fixes=NAMESERVERS,
    ),
    Reason.NO_ADDRESS: Page(
        meaning="The name exists but has no address: no A or AAAA record, or a CNAME whose target was not in "
        "the answer.",
        impact="Users of the Resource meet `DNS lookup error`.",
        commands=("dig @NAMESERVER NAME A", "dig @NAMESERVER NAME CNAME"),
        fix="Add the record, or follow the CNAME and add the missing end. If another nameserver gives a private "
        "address for it, see rebind_protected.",
    ),
    Reason.SERVFAIL: Page(
        meaning="The nameserver answered that it failed to find out (SERVFAIL or a rarer error code).",
        impact="Users of the Resource meet `DNS lookup error` while no other nameserver helps.",
        commands=("dig @NAMESERVER NAME A", "dig @NAMESERVER NAME A +cdflag"),
        fix="The fault is behind the nameserver: a forwarder that does not answer, a lame delegation, or DNSSEC "
        "that does not validate. If the second command answers and the first does not, it is DNSSEC.",
        fixes=NAMESERVERS,
    ),
    Reason.QUERY_REFUSED: Page(
        meaning="The nameserver answered that it won't serve us (REFUSED).",
        impact="Users of the Resource meet `DNS lookup error` while no other nameserver helps.",
        commands=("dig @NAMESERVER NAME A", "cat /etc/resolv.conf"),
        fix="Allow this host's address in the nameserver's access list, or remove the nameserver here. A server "
        "that serves only its own zones refuses all others: it is no resolver.",
        fixes=NAMESERVERS,
    ),
    Reason.MALFORMED_ANSWER: Page(
        meaning="Something answered, but not with a valid DNS reply.",
        impact="Users of the Resource meet `DNS lookup error` while no other nameserver helps.",
        commands=("dig @NAMESERVER NAME A", "dig @NAMESERVER NAME A +tcp"),
        fix="Find out what really listens there: a middlebox that rewrites DNS, or a service that is no nameserver.",
    ),
    Reason.RESOLVERS_DISAGREE: Page(
        meaning="One nameserver gives an address and another one does not, for the same name.",
        impact="Some lookups fail and some work: users meet `DNS lookup error` now and then.",
        commands=("dig @NAMESERVER_1 NAME A", "dig @NAMESERVER_2 NAME A", "cat /etc/resolv.conf"),
        fix="All nameservers of a host must give the same answers: the host asks any of them. Remove the public one "
        "beside the private one, or forward the private zone on both.",
        fixes=NAMESERVERS,
    ),
    Reason.REBIND_PROTECTED: Page(
        meaning="One nameserver gives a private address, another one gives an empty answer: it removes private "
        "addresses (protection against DNS rebinding).",
        impact="Lookups that meet the protecting nameserver fail: users meet `DNS lookup error` now and then.",
        commands=("dig @NAMESERVER_1 NAME A", "dig @NAMESERVER_2 NAME A"),
        fix="Exempt the zone from the protection (dnsmasq: rebind-domain-ok; unbound: private-domain; many home "
        "routers have a switch), or use only nameservers without it.",
    ),
}
