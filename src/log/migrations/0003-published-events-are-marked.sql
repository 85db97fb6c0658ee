-- The group's offset says what was published as long as it is kept: Kafka forgets it when a group is away for a week, and people set it back.
alter table trackops.published_events add column is_published boolean not null default false;
