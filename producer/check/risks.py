"""What each finding puts at risk: the rows come first, what only takes longer comes last."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Risk(StrEnum):
    """In the order in which findings are told."""

    DATA = "data"
    """Values, rows or references would be lost or changed, or rules that guard them."""
    APPLICATION = "application"
    """Statements, functions or clients of the application would fail, or read something else."""
    RUN = "run"
    """The run could not begin, would stop on its way, or could not be rolled back."""
    TIME = "time"
    """It is right, and takes longer, holds locks for longer, or needs more room than it might."""
    UNKNOWN = "unknown"
    """Something could not be looked at, or is good to know."""


_RISKS: Mapping[Risk, str] = {
    Risk.DATA: """
        not_convertible collision orphans dangling_references quarantined quarantine_torn quarantine_outside
        quarantine_filled quarantine_in_place quarantine_large odd_spelling converted_by_policy key_equality
        name_based_collation domain_checks_lost domain_left enum_checks_lost enum_check_dropped enum_map enum_spelling
        enum_order exclusion_lost uniqueness_lost foreign_keys_lost foreign_key_not_valid unique_on_partitioned
        only_on_partition not_carried row_security_forced policy_torn outside_rows null_partition_key not_stable
        soft_reference foreign_code invalid_index triggers_would_fire mapping_left
    """,
    Risk.APPLICATION: """
        query_will_break query_sends_text query_conflict_target queries_not_shown function_compares_text
        function_mentions view_changes_type new_ids_must_be_uuids
        new_texts_must_be_values text_casts
        text_casts_no_enums text_cast_kept sets_apart event_trigger mapping_function mapping_row_type mapping_published
        mapping_reserved_word not_null_without_default cache_hung_on cache_not_populated
    """,
    Risk.RUN: """
        no_key trial_failed default_not_convertible default_unknown expression_failed foreign_key_torn enum_torn
        enum_partition family_torn family_incomplete family_partitioned partition partition_values name_taken
        no_privilege not_a_heap standby server_version run_open locks_short text_casts_not_allowed
        event_trigger_refuses mapping_refused cache_columns cache_environment cache_extension cache_inherited
        cache_nothing cache_partitioned cache_query cache_unique_index cache_unreachable broker_unreachable
        disk_space already_differs reader_missing
    """,
    Risk.TIME: """
        hold_too_long event_triggers_slow long_transaction prepared_transaction wraparound_vacuum
        slot_retains_wal signal_over_limit broker_evicts pattern_indexes
    """,
    Risk.UNKNOWN: """
        activity_hidden cache_query_untried dangling_unknown disk_unknown looked_at_later no_gates orphans_unknown
        quarantine_uncounted signal_unreadable soft_reference_unknown statements_hidden
        statements_unknown statements_unread trial_unfinished
    """,
}
AT_RISK: Mapping[Risk, str] = {
    Risk.DATA: "Values, rows and references at risk",
    Risk.APPLICATION: "What would change for the application",
    Risk.RUN: "What would stop the run",
    Risk.TIME: "What takes longer",
    Risk.UNKNOWN: "What could not be checked",
}
"""For people, above the findings."""

RISK_OF: Mapping[str, Risk] = {code: risk for risk, codes in _RISKS.items() for code in codes.split()}
"""By a finding's code."""


def risk_of(code: str) -> Risk:
    """That of a code which is not listed is the data's: it is told first rather than last."""
    return RISK_OF.get(code, Risk.DATA)
