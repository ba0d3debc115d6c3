"""Whose move a code is: the one table of it, for the log, `audit-s3 check` and `audit-s3 explain`.

    mover("hec_unreachable", "Look at the host name") == "network"
    mover("role_denied", "Provider: name ...") == "provider"

A code of which one side alone can be the cause is in the table. Of a denial AWS's own words decide: they have
become the first word of its hint. Whatever neither says is for whoever runs the collector.
"""

from __future__ import annotations

from typing import Dict

__all__ = ["MOVES", "NETWORK", "NOBODY", "PROVIDER", "YOU", "mover"]

#: Whose move it is: who runs the collector; who writes the audits; who runs what lies between; nobody's.
YOU, PROVIDER, NETWORK, NOBODY = "you", "provider", "network", "nobody"

_YOU = (
    "config_invalid config_missing config_denied config_malformed clock_skew no_credentials "
    "credentials_invalid credentials_expired no_profile bad_aws_setting bad_parameter role_refused "
    "session_policy queue_missing bucket_missing wrong_region foreign_bucket unknown_body hec_ca_file "
    "hec_url hec_wrong_url hec_unavailable hec_queues_full hec_unhealthy hec_ack_unavailable "
    "hec_at_capacity hec_near_capacity hec_shutting_down hec_internal_error hec_server_error "
    "hec_unexpected hec_busy hec_token_invalid hec_token_disabled hec_ack_disabled hec_channel_invalid "
    "foreign_kms_key wrong_bucket quarantine_full http_listen hec_not_tls "
)
_PROVIDER = (
    "kms_key_unusable customer_key archived gone notifications_broken sns_unconfirmed "
    "sns_unsubscribed "
)
_NETWORK = (
    "credentials_unavailable proxy_refused proxy_failed tls_untrusted dns_failed connection_failed "
    "timeout truncated checksum_mismatch throttled aws_unavailable aws_unexpected hec_unreachable "
    "hec_timeout hec_connection_lost hec_tls hec_proxy hec_gateway hec_denied hec_token_missing "
    "hec_channel_missing sns_certificate_unreachable store_unreachable ciphertext_changed "
    "online_validation_timeout "
)

#: By code.
MOVES: Dict[str, str] = {
    code: owner
    for owner, codes in ((YOU, _YOU), (PROVIDER, _PROVIDER), (NETWORK, _NETWORK))
    for code in codes.split()
}


def mover(code: str, hint: str) -> str:
    """Whose move an error is. One of AWS's refusals has a hint that begins with "You: " or so."""
    name = hint.partition(":")[0].lower()
    return MOVES.get(code) or (name if name in (YOU, PROVIDER, NETWORK) else YOU)
