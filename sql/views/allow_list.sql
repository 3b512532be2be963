-- The category vocabulary: what is a crime, what may enter risk, what is never shared in detail. Grain: category.
select category, label, is_crime, is_risk_allowed, is_sensitive
from reference.categories
