-- In which hierarchies of areas calls of a service count: the administrative one and its own agency's. Grain: service, hierarchy.
select demand_services.demand_service as service, feeds.agency as hierarchy
from reference.demand_services
join reference.feed_services on feed_services.service = demand_services.service
join reference.feeds on feeds.feed = feed_services.feed
union
select demand_service, 'admin' from reference.demand_services
