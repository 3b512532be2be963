-- Whether a 119 call ended in advice by telephone.
create or replace temporary macro is_advice(outcome) as coalesce(regexp_matches(outcome, '안내|상담'), false)
