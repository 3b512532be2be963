-- In which trees of areas calls of a service count: the administrative one and its own agency's. Grain: service, tree.
select demand_services.demand_service as service, feeds.agency as tree
from reference.demand_services
join reference.feed_services on feed_services.service = demand_services.service
join reference.feeds on feeds.feed = feed_services.feed
union
select demand_service, 'admin' from reference.demand_services
