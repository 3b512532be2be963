-- Whether a 119 call ended in a way that needs no unit: repeated, silent, misdialled, false, advice.
create or replace temporary macro needs_no_unit(outcome) as
    coalesce(regexp_matches(outcome, '중복|무응답|오접|장난|허위|안내|상담'), false)
