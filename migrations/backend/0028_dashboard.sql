-- What the dashboard reads.

-- An operator's nodes are read page by page, in the order in which they were first authorised.

create index node_of_operator on node (operator, idx);
